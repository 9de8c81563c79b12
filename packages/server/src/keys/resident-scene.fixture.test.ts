/** What the tests of keys in an HSM share: an installation whose keys are made in a SoftHSM token of its own. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations } from '@trialkeep/contract';
import { configureHsm, makeToken } from '../hsm-token.fixture.test.ts';
import type { SoftToken } from '../hsm-token.fixture.test.ts';
import { makeInstallation, makeTenant, openNode, stores } from '../installation.fixture.test.ts';
import type { Node, Store } from '../installation.fixture.test.ts';
import type { Hsm } from '../hsm/index.ts';

const sqlite = stores[0] as Store;

/** A tenant of an installation whose keys are made in a token of its own. */
export async function arrange(t: TestContext, store: Store = sqlite, more: object = {}) {
  const token = makeToken(t);
  const installation = await makeInstallation(t, store);
  configureHsm(installation.data, token, more);
  const node = await openNode(t, installation);
  const made = await makeTenant(node, installation.administrator);
  const credential = async (...keys: string[]): Promise<string> => {
    const { system } = made;
    const issued = { name: `service ${randomUUID()}`, role: 'service', system, keys } as const;
    return (await made.admit('credentials.issue', { ...issued, keys })).secret;
  };
  const serve = async (...keys: string[]) => {
    const secret = await credential(...keys);
    return <Id extends OperationId>(operation: Id, input: Input<Operations[Id]>) =>
      node.rooms.gate.admit({
        operation,
        input,
        authorization: `Bearer ${secret}`,
        source: '192.0.2.1',
        requestId: 'request',
      });
  };
  const create = (input: object = {}): Promise<string> => made.createKey({ protection: 'hsm', ...input });
  return { ...made, token, installation, node, credential, serve, create };
}

/** The objects that a token has, by p11tool's like: SoftHSM's own command does not list them. */
export function objectsOf({ environment, pin }: SoftToken): string[] {
  const script = `
    const p = require('pkcs11js'); const m = new p.PKCS11();
    m.load('/usr/lib/softhsm/libsofthsm2.so'); m.C_Initialize();
    const s = m.C_OpenSession(m.C_GetSlotList(true)[0], p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION);
    m.C_Login(s, p.CKU_USER, process.argv[1]); m.C_FindObjectsInit(s, []);
    const ids = m.C_FindObjects(s, 1000).map((o) => m.C_GetAttributeValue(s, o, [{ type: p.CKA_ID }])[0].value.toString('hex'));
    console.log(JSON.stringify(ids));`;
  const cwd = new URL('.', import.meta.url);
  const env = { ...process.env, ...environment };
  return JSON.parse(
    execFileSync(process.execPath, ['-e', script, pin], { env, cwd, encoding: 'utf8' }),
  ) as string[];
}

/** The CKA_ID of a version. */
export const objectId = (versionId: string | undefined): string => (versionId ?? '').replaceAll('-', '');

/** The processes that hold the module. */
export function processesOf(node: Node): number[] {
  return (node.instance.hierarchy.tokenKeys as Hsm).processIds;
}
