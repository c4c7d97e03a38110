/** What deploy/ and the Dockerfile promise: hardening, probes, and names that are the program's own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { smtpListenerSchema } from '../../src/config/schema-listeners.ts';
import { projectRoot } from '../support/process.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const { port } = smtpListenerSchema.parse({});
const { version } = JSON.parse(read('package.json'));
const HEALTH = ['node', '/app/dist/main.js', 'health'];

/** As far as the tests look. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: ReturnType<typeof parse>;
}
const manifests = (path: string): Manifest[] =>
  parseAllDocuments(read(path)).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });

describe('deploy/kubernetes', () => {
  const [claim, deployment] = manifests('deploy/kubernetes/deployment.yaml');
  const pod = deployment?.spec.template.spec;
  const [postern] = pod.initContainers;

  it('runs Postern as a native sidecar, locked in', () => {
    expect(postern).toMatchObject({ name: 'postern', restartPolicy: 'Always', image: `postern:${version}` });
    expect(postern.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10001,
      fsGroup: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod).toMatchObject({ automountServiceAccountToken: false });
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(10);
    expect(deployment?.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  });

  it('asks for its health without a shell, longer than a probe takes', () => {
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      expect(postern[probe].exec.command.slice(0, 3)).toEqual(HEALTH);
      expect(postern[probe].timeoutSeconds).toBeGreaterThanOrEqual(5);
    }
  });

  it('mounts what the configuration names, and writes to one place', () => {
    const mounts = postern.volumeMounts.map((mount: { name: string; mountPath: string; readOnly?: boolean }) => [
      mount.name,
      mount.mountPath,
      mount.readOnly === true,
    ]);
    expect(mounts).toEqual([
      ['config', '/config', true],
      ['secrets', '/run/secrets/postern', true],
      ['state', '/var/lib/postern', false],
    ]);
    expect(postern.env).toContainEqual({ name: 'POSTERN_STATE_DIR', value: '/var/lib/postern' });
    expect(pod.volumes.map(({ name }: { name: string }) => name)).toEqual(['config', 'secrets', 'state']);
    expect(pod.volumes[2].persistentVolumeClaim.claimName).toBe(claim?.metadata.name);
    expect(read('deploy/kubernetes/postern.yaml')).toContain('${file:/run/secrets/postern/client-secret}');
  });

  it('has a configuration that loads, but for the secret that is mounted', async () => {
    const loaded = await loadConfig({ file: join(projectRoot, 'deploy/kubernetes/postern.yaml'), env: {}, cwd: projectRoot });
    expect(loaded.ok ? [] : loaded.problems.map(({ path }) => path)).toEqual(['accounts[0].auth.clientSecret']);
    expect(parse(read('deploy/kubernetes/postern.yaml')).listeners.smtp).toEqual([{ host: '127.0.0.1', port }]);
  });

  it('lets nobody in, and out only to what a relay needs', () => {
    const [policy] = manifests('deploy/kubernetes/networkpolicy.yaml');
    expect(policy?.spec).toMatchObject({ ingress: [], policyTypes: ['Ingress', 'Egress'] });
    expect(policy?.spec.podSelector).toEqual({ matchLabels: deployment?.spec.template.metadata.labels });
    const ports = policy?.spec.egress.flatMap((rule: { ports: { port: number }[] }) => rule.ports.map((each) => each.port));
    expect(new Set(ports)).toEqual(new Set([53, 443, 587, 465]));
  });

  it('is a kustomize base of files that are there', () => {
    const { resources, configMapGenerator } = parse(read('deploy/kubernetes/kustomization.yaml'));
    for (const file of [...resources, ...configMapGenerator[0].files]) expect(read(`deploy/kubernetes/${file}`)).not.toBe('');
    expect(pod.volumes[0].configMap.name).toBe(configMapGenerator[0].name);
  });
});

it('deploy/compose is locked in and publishes the default port on loopback', () => {
  const { postern } = parse(read('deploy/compose/compose.yaml')).services;
  expect(postern).toMatchObject({
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    ulimits: { core: 0 },
    ports: [`127.0.0.1:${port}:${port}`],
    image: `postern:${version}`,
  });
});

it('deploy/systemd does not restart on a wrong configuration, and hears when the listeners are open', () => {
  const unit = read('deploy/systemd/postern.service');
  for (const line of [
    'Type=notify',
    'NotifyAccess=all',
    'ExecReload=/bin/kill -HUP $MAINPID',
    'RestartPreventExitStatus=78',
    'DynamicUser=yes',
    'ProtectSystem=strict',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
    'LimitCORE=0',
  ]) {
    expect(unit.split('\n')).toContain(line);
  }
});

it('the Dockerfile runs as nobody in particular, without a shell form', () => {
  const lines = read('Dockerfile').split('\n');
  expect(lines).toContain('USER 10001:0');
  expect(lines).toContain(`EXPOSE ${port}`);
  for (const word of ['HEALTHCHECK', 'ENTRYPOINT', 'CMD']) expect(lines.find((line) => line.startsWith(word))).toMatch(/\[.*\]$/);
});
