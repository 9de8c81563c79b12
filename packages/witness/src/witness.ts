import {
  LedgerError,
  formatSignatures,
  noteTypes,
  keyId,
  maxWitnessRequestBytes,
  openNote,
  parseCheckpoint,
  parseNote,
  parseSignSubtree,
  subtreeMessage,
  verifierOf,
  verifySubtree,
  type NoteSignature,
  type SignSubtree,
} from '@trialkeep/ledger';
import type { FastifyInstance } from 'fastify';
import { Refusal } from './answer.ts';
import { cosign } from './cosign.ts';
import { readBody } from './http.ts';
import { signaturePrimitives, type Identity } from './keys.ts';
import { formatNote } from './notes.ts';
import { Observer, orBadRequest, type Works } from './observe.ts';
import { sha256 } from './primitives.ts';

/**
 * The longest `add-checkpoint` and `sign-subtree` that is read, bytes: room for some forty ML-DSA-44 signatures, and far less than
 * the format allows, for whoever sends it has not shown any key yet.
 */
export const maxRequestBytes = Math.min(maxWitnessRequestBytes, 160 * 1024);

/** Signs heads of logs: C2SP tlog-witness. */
export class Witness {
  readonly #works: Works;
  readonly #identity: Identity;
  readonly #observer: Observer;

  constructor(works: Works, identity: Identity) {
    this.#works = works;
    this.#identity = identity;
    this.#observer = new Observer(works, async (signed, time) =>
      formatNote(signed, await cosign(identity, signed.text, time)),
    );
  }

  /** @returns the witness's signature lines. @throws Refusal with the status codes of the specification */
  async addCheckpoint(body: Uint8Array): Promise<Uint8Array> {
    const note = await this.#observer.addCheckpoint(body);
    return formatSignatures(parseNote(note).signatures.slice(-this.#identity.keys.length));
  }

  /** @returns the signature line over the subtree, without a time. @throws Refusal */
  async signSubtree(body: Uint8Array): Promise<Uint8Array> {
    const request = orBadRequest(() => parseSignSubtree(body));
    return signSubtree(this.#works, this.#identity, request);
  }

  /** The latest checkpoint of the log whose origin has that hash, with the log's signatures and the witness's. @throws Refusal 404 */
  checkpoint(hash: string): Uint8Array {
    const log = this.#works.logs.findByHash(hash);
    const head = log && this.#works.state.head(log.origin);
    if (head === undefined) throw new Refusal(404, 'No checkpoint of such a log has been cosigned.');
    return head.note;
  }
}

/**
 * `sign-subtree` of C2SP tlog-witness: a checkpoint that this process cosigned is exchanged for the ML-DSA-44 cosignature of a
 * subtree that provably stands in it.
 */
export async function signSubtree(
  { logs }: Works,
  { name, keys }: Identity,
  { subtree, root, proof, checkpoint: note }: SignSubtree,
): Promise<Uint8Array> {
  const { text } = orBadRequest(() => parseNote(note));
  if (logs.find(text.slice(0, text.indexOf('\n'))) === undefined) {
    throw new Refusal(404, 'No log of this origin is known here.');
  }
  const verifiers = keys.map((key) => verifierOf(sha256, signaturePrimitives, key.verifierKey));
  try {
    await openNote(note, verifiers);
  } catch (error) {
    if (error instanceof LedgerError) throw new Refusal(403, 'The checkpoint is not cosigned here.');
    throw error;
  }
  const { origin, size, root: treeRoot } = orBadRequest(() => parseCheckpoint(text));
  if (subtree.end > size) throw new Refusal(400, 'The subtree ends beyond the checkpoint.');
  try {
    verifySubtree(sha256, { subtree, subtreeRoot: root, size, root: treeRoot, proof });
  } catch (error) {
    if (error instanceof LedgerError)
      throw new Refusal(422, 'The subtree is not consistent with the checkpoint.');
    throw error;
  }
  const message = subtreeMessage({ cosigner: name, time: 0n, origin, ...subtree, root });
  const signatures = keys
    .filter(({ type }) => type === noteTypes.mlDsa44)
    .map(({ type, publicKey, sign }): NoteSignature => {
      const signature = Buffer.concat([Buffer.alloc(8), sign(message)]);
      return { name, keyId: keyId(sha256, name, type, publicKey), signature };
    });
  return formatSignatures(signatures);
}

/** The routes of a witness. */
export function addWitnessRoutes(server: FastifyInstance, witness: Witness): void {
  server.post('/add-checkpoint', async (request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type('text/plain; charset=utf-8')
      .send(Buffer.from(await witness.addCheckpoint(await readBody(request, maxRequestBytes)))),
  );
  server.post('/sign-subtree', async (request, reply) =>
    reply
      .header('cache-control', 'no-store')
      .type('text/plain; charset=utf-8')
      .send(Buffer.from(await witness.signSubtree(await readBody(request, maxRequestBytes)))),
  );
  server.get<{ Params: { hash: string } }>('/:hash/checkpoint', async (request, reply) =>
    reply
      .header('cache-control', 'no-cache')
      .type('text/plain; charset=utf-8')
      .send(Buffer.from(witness.checkpoint(request.params.hash))),
  );
}
