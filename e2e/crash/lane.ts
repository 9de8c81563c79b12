import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AcknowledgementReader } from './acknowledgements.ts';
import { Check } from './check.ts';
import { Model } from './model.ts';
import { Choices } from './random.ts';
import { ServerCommand, startReady } from './server.ts';
import type { ListeningServer } from './server.ts';

/** Acknowledgements before the first kill, so that there is something to lose. */
const firstLoad = 150;
/** Acknowledgements before a kill under load, at most. */
const mostLoad = 120;
/** On a machine that is too slow for that the kill comes all the same. */
const longestLoadMs = 10_000;
const killsPerExport = 20;

/** When the server is killed: while it starts, as soon as it listens, or under steady load. */
type Moment = 'startingUp' | 'justStarted' | 'underLoad';

/** One installation that is killed over and over, with its own load and its own check. */
export class CrashLane {
  readonly #folder: string;
  readonly #data: string;
  readonly #compileCache: string;
  readonly #seed: number;
  readonly #choices: Choices;
  readonly #model = new Model();
  readonly #killed: Record<Moment, number> = { startingUp: 0, justStarted: 0, underLoad: 0 };
  #checks = 0;
  #exports = 0;
  #entries = 0;
  #startUpMs = 1000;
  #running: ServerCommand | undefined;

  constructor(folder: string, compileCache: string, seed: number) {
    this.#folder = folder;
    this.#data = join(folder, 'data');
    this.#compileCache = compileCache;
    this.#seed = seed;
    this.#choices = new Choices(seed);
  }

  /** What was done, for the reader of the test's output. */
  summary(): object {
    const done = {
      killed: this.#killed,
      checks: this.#checks,
      exports: this.#exports,
      entries: this.#entries,
    };
    return { ...done, ...this.#model.counts };
  }

  /** Kills the server that often. Throws at the first thing that is not as it must be. */
  async run(kills: number): Promise<void> {
    mkdirSync(this.#folder);
    const init = new ServerCommand(['init', '--data', this.#data], this.#compileCache);
    const made = (await init.answer()) as { administrator: { id: string; secret: string } } | undefined;
    assert.ok(made && (await init.end()), init.log);
    const { administrator } = made;
    const log = join(this.#folder, 'acknowledged.jsonl');
    const reader = new AcknowledgementReader(log);
    const check = new Check(this.#model, administrator.secret, new Choices(this.#seed + 1));
    const load = new LoadProcess([log, String(this.#seed), administrator.id, administrator.secret]);
    try {
      await this.#loadFirst(load);
      for (let killed = 0; killed < kills; killed++) {
        this.#model.read(reader.next());
        await this.#killOnce(load, check);
      }
      this.#model.read(reader.next());
      await this.#finish(check);
    } finally {
      load.end();
      await this.#running?.kill();
    }
  }

  async #start(): Promise<ListeningServer> {
    const server = await startReady(this.#data, this.#compileCache);
    this.#running = server.process;
    return server;
  }

  /** Without a kill: also leaves compiled modules behind, which a process that is killed does not. */
  async #loadFirst(load: LoadProcess): Promise<void> {
    const { process, url } = await this.#start();
    const { loaded, quiet } = load.run(url, firstLoad);
    await loaded;
    load.stop();
    await quiet;
    assert.ok(await process.stop(), process.log);
  }

  async #killOnce(load: LoadProcess, check: Check): Promise<void> {
    const moment = this.#nextMoment();
    const since = performance.now();
    if (moment === 'startingUp') {
      const starting = new ServerCommand(['serve', '--data', this.#data, '--port', '0'], this.#compileCache);
      await pause(this.#choices.fraction() * this.#startUpMs);
      assert.ok(await starting.kill(), `The server ended by itself: ${starting.log}`);
    } else {
      const { process, url } = await this.#start();
      this.#startUpMs = performance.now() - since;
      if (moment === 'underLoad') await this.#check(check, url);
      const { loaded, quiet } = load.run(url, this.#choices.integer(1, mostLoad));
      if (moment === 'underLoad') await loaded;
      await pause(this.#choices.integer(0, moment === 'underLoad' ? 20 : 100));
      assert.ok(await process.kill(), `The server ended by itself: ${process.log}`);
      await quiet;
    }
    this.#killed[moment]++;
  }

  #nextMoment(): Moment {
    const fraction = this.#choices.fraction();
    if (fraction < 0.3) return 'startingUp';
    return fraction < 0.5 ? 'justStarted' : 'underLoad';
  }

  async #check(check: Check, url: string): Promise<void> {
    await check.run(url);
    this.#checks++;
    const { startingUp, justStarted, underLoad } = this.#killed;
    if (startingUp + justStarted + underLoad < killsPerExport * (this.#exports + 1)) return;
    await check.verifyLedgers(url, this.#folder);
    this.#exports++;
  }

  async #finish(check: Check): Promise<void> {
    const { process, url } = await this.#start();
    await this.#check(check, url);
    await check.verifyLedgers(url, this.#folder);
    this.#entries = check.entries;
    assert.ok(await process.stop(), process.log);
  }
}

/** The load generator's process. */
class LoadProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(args: readonly string[]) {
    this.#child = fork(fileURLToPath(new URL('load.ts', import.meta.url)), args);
    this.#ended = once(this.#child, 'exit');
  }

  /**
   * Loads the server. `loaded`: that many requests were acknowledged. `quiet`: the load has noticed that the server is gone, or
   * has been stopped.
   */
  run(url: string, tell: number): { loaded: Promise<void>; quiet: Promise<void> } {
    const [loaded, quiet] = [this.#message('loaded'), this.#message('quiet')];
    this.#child.send({ url, tell });
    const longEnough = pause(longestLoadMs, undefined, { ref: false });
    return { loaded: Promise.race([loaded, longEnough]), quiet };
  }

  async #message(expected: string): Promise<void> {
    const ended = this.#ended.then(() => assert.fail('The load has ended.'));
    for (;;) {
      const [message] = (await Promise.race([once(this.#child, 'message'), ended])) as [string];
      if (message === expected || message === 'quiet') return;
    }
  }

  stop(): void {
    this.#child.send('stop');
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
