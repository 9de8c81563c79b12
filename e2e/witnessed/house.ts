import assert from 'node:assert/strict';
import type { Input, Operations, Output } from '@trialkeep/sdk/client';
import { openHouse, readyToApprove, untilState } from '../dual-control/house.ts';
import type { House } from '../dual-control/house.ts';
import { clientOf } from '../harness.ts';
import type { ServerProcess } from '../harness.ts';
import { until } from '../nodes.ts';
import type { Site } from '../nodes.ts';
import type { CosignerProcess } from './processes.ts';

export type Setting = Omit<Input<Operations['witnessing.set-policy']>, 'reason'>;
export type Shown = Output<Operations['witnessing.show']>;
type Server = Pick<ServerProcess, 'url'>;

/** A tenant whose policy people set; two approvers for each time, for codes of one person have to be waited for. */
export const openWitnessedHouse = (site: Site, approvers = 2): Promise<House> => openHouse(site, approvers);

/** The verifier keys of the tenant's log, as an outsider is given them. */
export const verifierKeysOf = ({ server, tenant }: House): Promise<string> =>
  clientOf(server, tenant.credentials.auditor.secret).call('ledger.verifier-key', {});

/** A policy with these witnesses: `needed` of them make the quorum. */
export function policyOf(witnesses: readonly CosignerProcess[], needed: number | 'all' | 'any'): string {
  const lines = witnesses.map(({ verifierKeys, url }, i) => `witness w${i} ${verifierKeys[1] ?? ''} ${url}`);
  const members = witnesses.map((_, i) => `w${i}`).join(' ');
  return `${lines.join('\n')}\ngroup them ${needed} ${members}\nquorum them\n`;
}

export const mirrorOf = ({ verifierKeys, url }: CosignerProcess) => ({
  name: 'sponsor',
  key: verifierKeys[1] ?? '',
  url,
});

/** One person asks for the policy, two others approve it, and it is carried out. */
export async function setPolicy(house: House, setting: Setting): Promise<void> {
  const { server, ada } = house;
  const reason = 'The sponsor asks for witnesses.';
  const asked = await clientOf(server, ada.session).attempt('witnessing.set-policy', { ...setting, reason });
  assert.equal(asked.state, 'approval-needed');
  for (let i = 0; i < 2; i++) {
    await (
      await readyToApprove(server, house.nextApprover(), asked.approval)
    )();
  }
  await untilState(house, { approval: asked.approval, key: '', reason }, 'executed');
}

export const show = (server: Server, { tenant }: House): Promise<Shown> =>
  clientOf(server, tenant.credentials.auditor.secret).call('witnessing.show', {});

/** Waits until the entries that there are now are under a checkpoint that meets the quorum. */
export async function untilWitnessed(server: Server, house: House): Promise<void> {
  const { size } = await show(server, house);
  await until(`${size} entries are witnessed`, async () => (await show(server, house)).witnessedSize >= size);
}

/** What a use of the tenant's key comes to: `released`, or the code of the refusal. */
export async function useKey(server: Server, { tenant }: House): Promise<string> {
  const { study, subject, key, credentials } = tenant;
  const context = { study, subject };
  const asked = await clientOf(server, credentials.service.secret)
    .call('keys.encrypt', { key, plaintext: 'c2FtcGxl', context })
    .then(
      () => 'released',
      (error: { code: string }) => error.code,
    );
  return asked;
}
