import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { equalSecrets } from '@trialkeep/crypto';
import { LedgerError, checkpointPath, parseSignSubtree, parseTilePath } from '@trialkeep/ledger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../answer.ts';
import { FreshFile } from '../files.ts';
import { readBody } from '../http.ts';
import type { Identity } from '../keys.ts';
import { networkOf } from '../network.ts';
import { formatNote } from '../notes.ts';
import { Observer, orBadRequest, type Works } from '../observe.ts';
import { maxRequestBytes, signSubtree } from '../witness.ts';
import { acceptedEncodings, readUpload } from './body.ts';
import { Copies } from './copies.ts';
import { readTokens } from './tokens.ts';
import { Uploads } from './uploads.ts';

/** Keeps whole copies of logs: C2SP tlog-mirror. */
export class Mirror {
  readonly #works: Works;
  readonly #identity: Identity;
  readonly #copies: Copies;
  readonly #observer: Observer;
  readonly uploads: Uploads;

  constructor(folder: string, works: Works, identity: Identity) {
    this.#works = works;
    this.#identity = identity;
    this.#copies = new Copies(folder, works.state);
    // A pending checkpoint is only noted: what the mirror signs says that it has the entries.
    this.#observer = new Observer(works, async (signed) => formatNote(signed));
    this.uploads = new Uploads(works, this.#copies, identity);
  }

  /** Opens every copy, so that a damaged one is noticed now. */
  async openCopies(): Promise<void> {
    for (const { origin } of this.#works.logs.all()) {
      try {
        await this.#copies.of(origin);
      } catch (error) {
        this.#works.logger.error({ origin, error: (error as Error).message }, 'A copy cannot be used.');
      }
    }
  }

  /** Makes a checkpoint the pending one of its log. @throws Refusal as a witness's `add-checkpoint` */
  async addCheckpoint(body: Uint8Array): Promise<void> {
    await this.#observer.addCheckpoint(body);
  }

  /** @throws Refusal as a witness's `sign-subtree` */
  async signSubtree(body: Uint8Array): Promise<Uint8Array> {
    return signSubtree(
      this.#works,
      this.#identity,
      orBadRequest(() => parseSignSubtree(body)),
    );
  }

  /** The mirror checkpoint of the log whose origin has that hash. @throws Refusal 404 */
  checkpoint(hash: string): Uint8Array {
    const log = this.#works.logs.findByHash(hash);
    const note = log && this.#works.state.copy(log.origin).note;
    if (note === undefined || note === null) throw new Refusal(404, 'There is no such copy yet.');
    return note;
  }

  /** A tile or an entry bundle, and how many bytes it has. @throws Refusal 404 */
  async file(hash: string, path: string): Promise<{ stream: Readable; bytes: number }> {
    const log = this.#works.logs.findByHash(hash);
    if (log === undefined || !isTilePath(path)) throw new Refusal(404, 'There is no such file.');
    try {
      const file = await open(join(this.#copies.place(log.origin).folder, path));
      const { size: bytes } = await file.stat();
      return { stream: file.createReadStream(), bytes };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new Refusal(404, 'There is no such file.');
    }
  }
}

function isTilePath(path: string): boolean {
  try {
    parseTilePath(path);
    return true;
  } catch (error) {
    if (error instanceof LedgerError) return false;
    throw error;
  }
}

/**
 * The routes of a mirror. Whoever reads the copy shows a token from the file: the aliases in entries are personal data.
 */
export function addMirrorRoutes(server: FastifyInstance, mirror: Mirror, tokenFile: string): void {
  const tokens = new FreshFile(tokenFile, readTokens);
  tokens.content();
  const authorise = async ({ headers }: FastifyRequest): Promise<void> => {
    const [, token = ''] = /^Bearer ([!-~]{1,512})$/.exec(headers.authorization ?? '') ?? [];
    const shown = createHash('sha256').update(token).digest();
    const isKnown = tokens.content().map((known) => equalSecrets(known, shown));
    if (!isKnown.includes(true)) throw new Refusal(401, 'The copy is shown only to those who have a token.');
  };

  server.post('/add-checkpoint', async (request, reply) => {
    await mirror.addCheckpoint(await readBody(request, maxRequestBytes));
    return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send('');
  });
  server.post('/sign-subtree', async (request, reply) => {
    const lines = await mirror.signSubtree(await readBody(request, maxRequestBytes));
    return sendText(reply, lines);
  });
  server.post('/add-entries', async (request, reply) => {
    void reply.header('accept-encoding', acceptedEncodings);
    const stream = request.body as Readable | undefined;
    if (stream === undefined || stream === null) throw new Refusal(400, 'There is no body.');
    const body = readUpload(stream, request.headers['content-encoding']);
    try {
      return await sendText(reply, await mirror.uploads.addEntries(body.chunks, networkOf(request.ip)));
    } finally {
      body.release();
    }
  });
  server.get<{ Params: { hash: string; '*': string } }>(
    '/:hash/*',
    { onRequest: authorise },
    async ({ params }, reply) => {
      const path = params['*'];
      if (path === checkpointPath) {
        void reply.header('cache-control', 'private, no-cache').type('text/plain; charset=utf-8');
        return reply.send(Buffer.from(mirror.checkpoint(params.hash)));
      }
      const { stream, bytes } = await mirror.file(params.hash, path);
      // Tiles never change (C2SP tlog-tiles, Merkle Tree).
      void reply.header('cache-control', 'private, max-age=31536000, immutable');
      return reply.header('content-length', bytes).type('application/octet-stream').send(stream);
    },
  );
}

async function sendText(reply: FastifyReply, lines: Uint8Array): Promise<FastifyReply> {
  return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send(Buffer.from(lines));
}
