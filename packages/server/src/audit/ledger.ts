import type { Clock } from '../platform/clock.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { Hierarchy } from '../keys/index.ts';
import { AnchorFolder } from './anchor.ts';
import { Appender } from './appender.ts';
import { entryBytes, sealDraft } from './entry.ts';
import type { Draft } from './entry.ts';
import * as store from './store.ts';
import type { LogRow } from './store.ts';
import { TransparencyLog, emptyRoot, newLogKeys } from './transparency-log.ts';

/** How soon a checkpoint follows an entry, at the latest. */
const checkpointIntervalMs = 1000;

/** What the ledger tells the server's own log. */
export interface LedgerNotes {
  warn(details: object, message: string): void;
}

/** A new log that the caller's transaction still has to store. */
export interface NewLog {
  readonly verifierKey: string;
  /** Stores the log with its first entry; `opened` makes it known, once the transaction has committed. */
  store(
    tx: Tx,
    time: number,
    genesis: Draft,
    payload: object,
  ): Promise<{ log: number; opened: () => Promise<void> }>;
}

/** Every log of the instance: appending, checkpoints, the anchor. */
export class Ledger {
  readonly appender: Appender;
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #clock: Clock;
  readonly #anchor: AnchorFolder;
  readonly #notes: LedgerNotes;
  readonly #logs = new Map<number, TransparencyLog>();
  readonly #grown = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: {
    database: Database;
    hierarchy: Hierarchy;
    clock: Clock;
    anchorFolder: string;
    notes: LedgerNotes;
  }) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#clock = parts.clock;
    this.#anchor = new AnchorFolder(parts.anchorFolder);
    this.#notes = parts.notes;
    this.appender = new Appender(parts.database, parts.clock, (log) => this.#grown.add(log));
  }

  /** Opens every log, catches its tree up, and says where the database is behind or beside the anchor. */
  async open(): Promise<string[]> {
    const rows = await this.#database.read((snapshot) => store.listLogs(snapshot));
    for (const row of rows) await this.#openLog(row);
    for (const log of this.#logs.values()) await log.integrate();
    return this.#compareWithAnchor();
  }

  /** Begins to sign checkpoints; not in recovery, where a new checkpoint would fork the log. */
  start(): void {
    for (const id of this.#logs.keys()) this.#grown.add(id);
    this.#timer = setInterval(() => void this.anchorGrown(), checkpointIntervalMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.appender.idle();
    if (this.#timer !== undefined) await this.anchorGrown();
  }

  log(id: number): TransparencyLog {
    const log = this.#logs.get(id);
    if (log === undefined) throw new Error(`There is no log ${id}.`);
    return log;
  }

  /** The instance's own log. */
  get instanceLog(): TransparencyLog {
    const log = [...this.#logs.values()].find(({ tenant }) => tenant === null);
    if (log === undefined) throw new Error('The instance has no log.');
    return log;
  }

  /** Every log that is open. */
  get logs(): readonly TransparencyLog[] {
    return [...this.#logs.values()];
  }

  logOfTenant(tenant: string): TransparencyLog | undefined {
    return [...this.#logs.values()].find((log) => log.tenant === tenant);
  }

  /** Signs and anchors a checkpoint of the log now. */
  async anchorNow(id: number): Promise<Uint8Array> {
    this.#grown.delete(id);
    const log = this.log(id);
    return log.checkpoint(this.#clock.now(), (note) => this.#anchor.write(log.origin, note));
  }

  /** Checkpoints for every log that has grown. What fails is tried again at the next interval. */
  async anchorGrown(): Promise<void> {
    for (const id of [...this.#grown]) {
      try {
        await this.anchorNow(id);
      } catch (error) {
        this.#grown.add(id);
        this.#notes.warn({ log: id, error: String(error) }, 'No checkpoint could be kept; trying again.');
      }
    }
  }

  /** Prepares a log: `owner` is what wraps its payload key, before the tenant's key can be looked up. */
  newLog(origin: string, tenant: string | null, owner: Parameters<Hierarchy['newPayloadKey']>[1]): NewLog {
    const keys = newLogKeys(origin);
    const payloadKey = this.#hierarchy.newPayloadKey(tenant, owner);
    return {
      verifierKey: keys.verifierKey,
      store: async (tx, time, genesis, payload) => {
        const row = await store.insertLog(
          tx,
          {
            tenant,
            origin,
            verifier_key: keys.verifierKey,
            wrapped_signing_key: this.#hierarchy.wrapSigningKey(tenant, keys.signingKey),
            payload_key_version: payloadKey.versionId,
            wrapped_payload_key: payloadKey.wrapped,
          },
          emptyRoot,
          time,
        );
        const compact = this.#hierarchy.openPayloadKey(tenant, owner, payloadKey);
        const draft = sealDraft(genesis, origin, payload, compact);
        await store.advance(tx, { log: row.id, epoch: 1, count: 1, now: time, change: false });
        const bytes = entryBytes(draft, time, undefined);
        await store.insertEntries(tx, row.id, 0, [{ bytes, ciphertext: draft.ciphertext }]);
        const opened = async (): Promise<void> => {
          await this.#openLog(row);
          await this.anchorNow(row.id);
        };
        return { log: row.id, opened };
      },
    };
  }

  async #openLog(row: LogRow): Promise<void> {
    const payloadKey = { versionId: row.payload_key_version, wrapped: row.wrapped_payload_key };
    const log = await TransparencyLog.open(this.#database, row, {
      signingKey: this.#hierarchy.unwrapSigningKey(row.tenant, row.wrapped_signing_key),
      payloadKey: this.#hierarchy.openPayloadKey(
        row.tenant,
        await this.#hierarchy.ownerKey(row.tenant),
        payloadKey,
      ),
    });
    this.#logs.set(row.id, log);
  }

  async #compareWithAnchor(): Promise<string[]> {
    const reasons: string[] = [];
    const anchored = new Set<string>();
    for (const { file, note } of this.#anchor.read()) {
      const origin = Buffer.from(note).toString('utf8').split('\n', 1)[0];
      const log = [...this.#logs.values()].find((candidate) => candidate.origin === origin);
      if (log === undefined) {
        reasons.push(`The database knows nothing of log ${origin}, which the anchor has.`);
        continue;
      }
      anchored.add(log.origin);
      try {
        const reason = await log.contradiction(note);
        if (reason !== undefined) reasons.push(reason);
      } catch (error) {
        reasons.push(`The anchor ${file} is not a checkpoint of log ${origin}: ${(error as Error).message}`);
      }
    }
    for (const log of this.#logs.values()) {
      if (!anchored.has(log.origin) && (await log.hasCheckpoint())) {
        reasons.push(
          `The anchor of log ${log.origin} is gone: nothing says whether the database is the newest. Restoring a backup with --accept-lost-anchor accepts that.`,
        );
      }
    }
    return reasons;
  }
}
