/**
 * Where a campaign's fetched messages go when mail servers are real: by LMTP into a mailbox of Dovecot, by SMTP through Postfix into another.
 *
 * @packageDocumentation
 */
import type { CampaignOptions, CampaignOutcome } from '../../campaign/campaign.ts';
import { killOn } from '../../campaign/fetch-kill.ts';
import { deliveryOf, type FetchPlace, type OpenPlace, PLACES, type SinkKind } from '../../campaign/fetch-places.ts';
import { type RealServers, startRealServers } from './mail-servers.ts';
import { MAIL_DOMAIN } from './postfix.ts';

function realPlaces(servers: RealServers): Readonly<Record<SinkKind, OpenPlace>> {
  const to = (kind: 'lmtp' | 'smtp', port: number, tls: 'none' | 'starttls') => async (): Promise<FetchPlace> => {
    const mailbox = `taken-by-${kind}@${MAIL_DOMAIN}`;
    return {
      settings: { kind, host: 'localhost', port, to: [mailbox], tls, ca: servers.caPem },
      deliveries: async () => (await servers.readMailbox(mailbox)).map(deliveryOf),
      close: async () => {},
    };
  };
  return { ...PLACES, lmtp: to('lmtp', servers.lmtpPort, 'none'), smtp: to('smtp', servers.inboundPort, 'starttls') };
}

/** The campaign on Dovecot, with these places. `count` is the kills at each. */
export function killAtRealServers(servers: RealServers, options: CampaignOptions): Promise<CampaignOutcome> {
  const mailbox = `kills@${MAIL_DOMAIN}`;
  const accessToken = (): Promise<string> => servers.authorization.mintAccessToken(mailbox);
  const target = { host: servers.host, port: servers.imapPort, ca: servers.caPem, mailbox, accessToken, places: realPlaces(servers) };
  return killOn(target, options);
}

/** On servers of its own. Packages must have been installed. */
export async function runFetchKillOnServers(options: CampaignOptions): Promise<CampaignOutcome> {
  const servers = await startRealServers();
  try {
    return await killAtRealServers(servers, options);
  } finally {
    await servers.stop();
  }
}
