/** What the tests of witnessing share: a witness that can be told to misbehave, and a policy that is set without three people. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ed25519PublicKey, generateKey, mlDsa44PublicKey, signEd25519, signMlDsa44 } from '@trialkeep/crypto';
import {
  cosigner,
  formatVerifierKey,
  parseAddCheckpoint,
  parseCheckpoint,
  parseNote,
  signNote,
  verifyConsistency,
} from '@trialkeep/ledger';
import type { Checkpoint, Signer } from '@trialkeep/ledger';
import { changeOwn, sealDraft, sha256 } from '../audit/index.ts';
import type { Context } from '../platform/implementation.ts';
import { until } from '../installation.fixture.test.ts';
import type { Node } from '../installation.fixture.test.ts';

export type Behaviour =
  | 'honest'
  | 'silent'
  | 'down'
  | 'huge'
  | 'redirect'
  | 'forged'
  | 'other-key'
  | 'no-lines'
  | 'not-text'
  | 'ahead'
  | 'odd-size'
  | 'other-history';

interface Known {
  readonly checkpoint: Checkpoint;
  readonly note: Uint8Array;
}

/** A witness in this process, as strict as the specification where it is honest. */
export class TestWitness {
  readonly name: string;
  readonly verifierKeys: readonly string[];
  behaviour: Behaviour = 'honest';
  /** Requests that it has had. */
  asked = 0;
  /** What it has cosigned, by origin. */
  readonly known = new Map<string, Known>();
  /** Every size that it has cosigned, in order. */
  readonly sizes: number[] = [];
  /** ms before it answers. */
  delayMs = 0;
  readonly #signers: readonly Signer[];
  readonly #foreign: Signer;
  #server: Server | undefined;
  #port = 0;

  private constructor(name: string) {
    this.name = name;
    const [one, two] = [edSigner(name), mlDsaSigner(name)];
    this.#signers = [one.signer, two.signer];
    this.verifierKeys = [one.verifierKey, two.verifierKey];
    this.#foreign = edSigner(name).signer;
  }

  static async start(t: TestContext, name: string): Promise<TestWitness> {
    const witness = new TestWitness(name);
    await witness.up();
    t.after(() => witness.down());
    return witness;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens again where it listened. */
  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked += 1;
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    if (this.behaviour === 'silent') return;
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const end = (status: number, body: string | Uint8Array = '', type = 'text/plain'): void =>
      void response.writeHead(status, { 'content-type': type, location: '/elsewhere' }).end(body);
    if (this.behaviour === 'redirect') return end(307);
    if (this.behaviour === 'huge') return end(200, Buffer.alloc(10_000_000, 'a'));
    if (request.method === 'GET') return this.#show(request.url ?? '', end);
    return this.#add(Buffer.concat(pieces), end);
  }

  #show(path: string, end: (status: number, body?: string | Uint8Array) => void): void {
    const hash = path.split('/')[1];
    const found = [...this.known].find(
      ([origin]) => createHash('sha256').update(origin).digest('hex') === hash,
    );
    if (found === undefined || this.behaviour === 'ahead') return end(404);
    end(200, found[1].note);
  }

  async #add(
    body: Buffer,
    end: (status: number, body?: string | Uint8Array, type?: string) => void,
  ): Promise<void> {
    const { oldSize, proof, checkpoint: note } = parseAddCheckpoint(body);
    const { text } = parseNote(note);
    const checkpoint = parseCheckpoint(text);
    if (this.behaviour === 'ahead') return end(409, `${checkpoint.size + 1000}\n`, 'text/x.tlog.size');
    if (this.behaviour === 'odd-size') return end(409, '-1\n', 'text/x.tlog.size');
    if (this.behaviour === 'other-history') return end(422);
    const before = this.known.get(checkpoint.origin)?.checkpoint;
    if (oldSize !== (before?.size ?? 0)) return end(409, `${before?.size ?? 0}\n`, 'text/x.tlog.size');
    try {
      if (before !== undefined) {
        const sizes = { from: before.size, to: checkpoint.size };
        verifyConsistency(sha256, { ...sizes, fromRoot: before.root, toRoot: checkpoint.root, proof });
      }
    } catch {
      return end(422);
    }
    if (this.behaviour === 'no-lines') return end(200, '');
    if (this.behaviour === 'not-text') return end(200, Buffer.from([0xff, 0xfe, 0x0a]));
    const signers = this.behaviour === 'other-key' ? [this.#foreign] : this.#signers;
    const signedText = this.behaviour === 'forged' ? text.replace(/\n\d+\n/, '\n1\n') : text;
    const signed = Buffer.from(await signNote(signedText, signers)).toString('utf8');
    const lines = signed.slice(signed.lastIndexOf('\n\n') + 2);
    this.known.set(checkpoint.origin, { checkpoint, note: Buffer.concat([note, Buffer.from(lines)]) });
    this.sizes.push(checkpoint.size);
    end(200, lines);
  }
}

const seconds = (): number => Math.floor(Date.now() / 1000);

function edSigner(name: string): { signer: Signer; verifierKey: string } {
  const key = generateKey('ED25519');
  const publicKey = ed25519PublicKey(key);
  const sign = (message: Uint8Array): Uint8Array => signEd25519(key, message);
  return {
    signer: cosigner(sha256, { name, type: 0x04, publicKey, sign, now: seconds }),
    verifierKey: formatVerifierKey(sha256, name, 0x04, publicKey),
  };
}

function mlDsaSigner(name: string): { signer: Signer; verifierKey: string } {
  const key = generateKey('ML_DSA_44');
  const publicKey = mlDsa44PublicKey(key);
  const sign = (message: Uint8Array): Uint8Array => signMlDsa44(key, message);
  return {
    signer: cosigner(sha256, { name, type: 0x06, publicKey, sign, now: seconds }),
    verifierKey: formatVerifierKey(sha256, name, 0x06, publicKey),
  };
}

/** A policy whose witnesses are these, `needed` of them. */
export function policyOf(witnesses: readonly TestWitness[], needed: number | 'all' | 'any' = 'all'): string {
  const lines = witnesses.map(({ verifierKeys, url }, i) => `witness w${i} ${verifierKeys[0]} ${url}`);
  const group = `group all-of-them ${needed} ${witnesses.map((_, i) => `w${i}`).join(' ')}`;
  return `${[...lines, group, 'quorum all-of-them'].join('\n')}\n`;
}

export interface PolicyChange {
  readonly policy: string;
  readonly mode?: 'background' | 'required';
  readonly boundSeconds?: number;
  readonly mirrors?: { name: string; key: string; url: string }[];
}

/** Sets the policy of a tenant's log as the operation does, without the people who would have to approve it. */
export async function setPolicy(
  { instance, rooms }: Node,
  tenant: string,
  change: PolicyChange,
): Promise<number> {
  const log = await instance.ledger.openOfTenant(tenant);
  assert.ok(log);
  const { mode = 'required', boundSeconds = 3600, ...more } = change;
  const context = {
    input: { mode, boundSeconds, reason: 'test', ...more },
    caller: { log },
    record: {},
    payload: {},
    afterCommit: [],
  };
  const act = rooms.implementations['witnessing.set-policy'];
  const apply = await act(context as unknown as Context<'witnessing.set-policy'>);
  await changeOwn(instance.ledger, rooms.facts, log.id, async (tx, time) => {
    const result = await apply(tx, time);
    const draft = {
      operation: 'witnessing.set-policy',
      outcome: 'success',
      recorded: context.record,
    } as const;
    return { result, draft: sealDraft(draft, log.origin, context.payload, log.payloadKey) };
  });
  await rooms.witnessing.refresh(log.id);
  return log.id;
}

/** What `witnessing.show` answers about a log. */
export async function show({ instance, rooms }: Node, id: number) {
  const log = await instance.ledger.open(id);
  const context = { caller: { log } } as unknown as Context<'witnessing.show'>;
  return rooms.implementations['witnessing.show'](context);
}

/** Asks witnesses while the test runs. */
export async function work(t: TestContext, { rooms }: Node): Promise<() => Promise<void>> {
  await rooms.witnessing.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= rooms.witnessing.stop());
  t.after(stop);
  return stop;
}

/** Waits until every entry of the log is under a checkpoint that meets the quorum. */
export async function untilWitnessed(node: Node, log: number): Promise<void> {
  await until(async () => {
    const { size, witnessedSize } = await show(node, log);
    return size === witnessedSize;
  });
}
