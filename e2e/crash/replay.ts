import assert from 'node:assert/strict';
import { add } from './model.ts';

interface Entry {
  readonly entry: string;
  readonly operation: string;
  readonly outcome: string;
  readonly time: number;
  readonly actor?: string;
  readonly role?: string;
  readonly code?: string;
  readonly key?: string;
  readonly version?: number;
  readonly state?: string;
  readonly study?: string;
  readonly system?: string;
  readonly subject?: string;
  readonly class?: string;
}

/** What each change makes of which state; written down here once more, independently of the server. */
const changes: Record<string, (from: string) => boolean> = {
  'keys.rotate': (from) => from === 'active',
  'keys.suspend': (from) => from === 'active',
  'keys.resume': (from) => from === 'suspended',
  'keys.revoke': (from) => from === 'active' || from === 'suspended' || from === 'deactivated',
};

/** Reads a tenant's ledger from its first entry on, and says what must be in the database if nothing else ever happened. */
export class Replay {
  readonly keys = new Map<string, { state: string; version: number }>();
  readonly studies = new Set<string>();
  readonly systems = new Set<string>();
  readonly subjects = new Set<string>();
  credentialsIssued = 0;
  credentialsRevoked = 0;
  /** By services, by operation and record class. */
  readonly uses = new Map<string, number>();
  /** By operation, actor and code. */
  readonly refusals = new Map<string, number>();
  /** The entries as they are hashed, in order. */
  readonly entries: string[] = [];
  readonly #ids = new Set<string>();
  #time = 0;

  read(index: number, text: string): void {
    assert.equal(index, this.entries.length, 'The ledger has a gap.');
    this.entries.push(text);
    const entry = JSON.parse(text) as Entry;
    assert.ok(entry.time >= this.#time, `The time of entry ${index} goes back.`);
    this.#time = entry.time;
    assert.ok(!this.#ids.has(entry.entry), `Entry ${index} has the id of another.`);
    this.#ids.add(entry.entry);
    if (entry.outcome === 'success') this.#succeed(entry);
    else add(this.refusals, `${entry.operation} ${entry.actor ?? ''} ${entry.code ?? ''}`);
  }

  #succeed({ operation, key = '', version = 0, state = '', ...entry }: Entry): void {
    const what = `${operation} of key ${key}, version ${version}`;
    const known = this.keys.get(key);
    switch (operation) {
      case 'studies.create':
        this.studies.add(entry.study ?? '');
        break;
      case 'systems.create':
        this.systems.add(entry.system ?? '');
        break;
      case 'subjects.create':
        this.subjects.add(entry.subject ?? '');
        break;
      case 'credentials.issue':
        this.credentialsIssued++;
        break;
      case 'credentials.revoke':
        this.credentialsRevoked++;
        break;
      case 'keys.create':
        assert.equal(known, undefined, `${what} stands in the ledger twice.`);
        this.keys.set(key, { state, version });
        break;
      case 'keys.rotate':
      case 'keys.suspend':
      case 'keys.resume':
      case 'keys.revoke':
        assert.ok(known && changes[operation]?.(known.state), `${what} from ${known?.state ?? 'nothing'}.`);
        assert.equal(version, known.version + (operation === 'keys.rotate' ? 1 : 0), what);
        this.keys.set(key, { state, version });
        break;
      case 'keys.encrypt':
      case 'keys.generate-data-key':
      case 'keys.decrypt':
      case 'keys.decrypt-data-key':
        if (entry.role !== 'service') break;
        // What follows a suspension or revocation in the ledger must not have succeeded under it.
        assert.equal(known?.state, 'active', what);
        if (operation === 'keys.encrypt' || operation === 'keys.generate-data-key') {
          assert.equal(version, known?.version, what);
        }
        add(this.uses, `${operation} ${entry.class ?? ''}`);
        break;
      default:
    }
  }
}
