/**
 * The layer rules of docs/flow.md ("Rooms"): arrows go one way, so that a room can be read, tested and replaced by itself.
 * A new arrow is a design decision: change docs/flow.md with it.
 */
const pure = 'sasl|message|policy';
const rooms = 'token|spool|upstream|mailbox|pop3-from-imap|listener|proxy|fetch|delivery|doctor|admin';
const room = (name, may) => ({
  name: `${name}-arrows`,
  severity: 'error',
  comment: `src/${name} may import only: ${may}`,
  from: { path: `^src/${name}/` },
  to: { path: '^src/', pathNot: `^src/(${name}|${may})/` },
});
/** A library lives in the rooms named, nowhere else in src/. */
const library = (name, where) => ({
  name: `${name}-lives-in`,
  severity: 'error',
  comment: `${name} is confined to src/(${where})`,
  from: { path: '^src/', pathNot: `^src/(${where})` },
  to: { path: `^node_modules/${name}/` },
});
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'src-not-to-test', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|scripts|bench)/' } },
    room('core', 'core'),
    room('sasl', 'core'),
    room('message', 'core'),
    room('policy', 'core'),
    room('platform', 'core'),
    room('observability', 'core|platform'),
    room('config', 'core|platform'),
    ...rooms.split('|').map((name) => room(name, `core|platform|${pure}`)),
    room('sandbox', `core|platform|${pure}`),
    room('cli', 'core|config|app|platform'),
    room('page', 'core'),
    library('smtp-server', 'listener/|sandbox/'),
    library('nodemailer', 'upstream/|sandbox/'),
    library('imapflow', 'fetch/'),
    library('oauth4webapi', 'token/'),
    library('postal-mime', 'fetch/'),
    library('pino', 'observability/'),
    library('zod', 'config/|admin/'),
    library('yaml', 'config/'),
    library('hono', 'admin/'),
    library('node-forge', 'sandbox/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
