import { mkdirSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { makeFolder, undoAtEnd } from '../harness.ts';

/** What PostgreSQL's clients look for in the folder of a socket. */
const socketName = '.s.PGSQL.5432';

/** The line between one node and the database: it can be cut, and it can fall silent with what is on the way kept for later. */
export class Line {
  /** The folder of its socket, which the node takes for the database's. */
  readonly host: string;
  readonly #database: string;
  /** Both ends of every connection. */
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: 'open' | 'cut' | 'silent' = 'open';

  /** @param database the folder of the database's socket */
  constructor(database: string, name: string) {
    this.#database = database;
    this.host = join(makeFolder(), name);
    mkdirSync(this.host);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.#join(socket),
    );
    server.listen(join(this.host, socketName));
    server.unref();
    undoAtEnd(() => {
      this.cut();
      server.close();
    });
  }

  /** Connections break, and new ones too. */
  cut(): void {
    this.#state = 'cut';
    for (const pair of this.#pairs) this.#end(pair);
  }

  /** Nothing arrives at either side, and nobody learns why; new connections are taken and hear nothing. */
  silence(): void {
    this.#state = 'silent';
    for (const socket of [...this.#pairs].flat()) socket.pause();
  }

  /** What was on the way arrives now, in its order. */
  heal(): void {
    this.#state = 'open';
    for (const socket of [...this.#pairs].flat()) socket.resume();
  }

  #join(node: Socket): void {
    if (this.#state === 'cut') {
      node.destroy();
      return;
    }
    const database = createConnection({ path: join(this.#database, socketName), allowHalfOpen: true });
    const pair = [node, database] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [database, node]] as const) {
      from.on('data', (chunk: Buffer) => to.write(chunk));
      from.once('end', () => to.end());
      from.on('error', () => this.#end(pair));
      from.once('close', () => this.#end(pair));
      if (this.#state === 'open') from.resume();
      else from.pause();
    }
  }

  #end(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
