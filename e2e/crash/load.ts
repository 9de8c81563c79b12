/**
 * The load, in a process of its own: `node load.ts LOG SEED ADMINISTRATOR_ID ADMINISTRATOR_SECRET`. It sends requests while
 * the server is there, and records in LOG what it asks and what is acknowledged, each before the next step.
 *
 * Takes `{ url, tell }` over the process channel and loads that server until it is gone, or until `'stop'`; then answers `'quiet'`,
 * and before that, after `tell` acknowledgements, `'loaded'`.
 */
import { createClient } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { AcknowledgementLog } from './acknowledgements.ts';
import { createTenant, kinds } from './deeds.ts';
import type { Deed } from './deeds.ts';
import { Choices } from './random.ts';
import { newTenant } from './world.ts';
import type { Tenant } from './world.ts';

const workers = 12;
const firstTenants = 2;
const maxTenants = 8;
/** For each request, once the first tenants are there. */
const newTenantChance = 0.0003;

class Load {
  readonly #log: AcknowledgementLog;
  readonly #choices: Choices;
  readonly #administrator: Deed['actor'];
  readonly #tenants: Tenant[] = [];
  #n = 0;
  #makingTenant = false;
  #stopping = false;
  #untold = 0;
  readonly #onTold: () => void;
  #clients = new Map<string, Client>();

  constructor(log: AcknowledgementLog, choices: Choices, administrator: Deed['actor'], onTold: () => void) {
    this.#onTold = onTold;
    this.#log = log;
    this.#choices = choices;
    this.#administrator = administrator;
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(url: string, tell: number): Promise<void> {
    this.#stopping = false;
    this.#untold = tell;
    this.#clients = new Map();
    await Promise.all(Array.from({ length: workers }, () => this.#work(url)));
  }

  async #work(url: string): Promise<void> {
    while (!this.#stopping) {
      const n = ++this.#n;
      const deed = this.#next(n);
      if (deed === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
      else if (!(await this.#perform(n, deed, url))) return;
    }
  }

  #next(n: number): Deed | undefined {
    const count = this.#tenants.length;
    const chance = count < firstTenants ? 1 : count < maxTenants ? newTenantChance : 0;
    if (!this.#makingTenant && this.#choices.fraction() < chance) return this.#newTenant(n);
    // Most of the load is on the first tenants; the others keep further logs moving.
    const isFirst = this.#choices.fraction() < 0.8;
    const tenant = this.#choices.pick(isFirst ? this.#tenants.slice(0, firstTenants) : this.#tenants);
    return tenant && this.#choices.weighted(kinds)?.make(tenant, n, this.#choices);
  }

  #newTenant(n: number): Deed {
    this.#makingTenant = true;
    return createTenant(this.#administrator, n, {
      succeed: ({ id = '', actor = '', secret = '' }) =>
        this.#tenants.push(newTenant(id, { id: actor, secret })),
      end: () => (this.#makingTenant = false),
    });
  }

  /** False when the server is gone. */
  async #perform(n: number, deed: Deed, url: string): Promise<boolean> {
    const { operation, tenant, actor, about } = deed;
    this.#log.write({ n, operation, ...(tenant !== undefined && { tenant }), actor: actor.id, about });
    try {
      const answer = await this.#client(url, actor.secret).call(operation, deed.input);
      const facts = deed.facts(answer as never);
      this.#log.write({ n, facts });
      deed.succeed(facts);
      if (--this.#untold === 0) this.#onTold();
      return true;
    } catch (error) {
      const code = error instanceof TrialkeepError ? error.code : String(error);
      if (code === 'client.unreachable') return false;
      this.#log.write({ n, refusal: code, facts: {} });
      deed.refuse?.(code);
      return true;
    } finally {
      deed.end?.();
    }
  }

  #client(url: string, credential: string): Client {
    const known = this.#clients.get(credential);
    if (known !== undefined) return known;
    const client = createClient({ url, credential });
    this.#clients.set(credential, client);
    return client;
  }
}

const [path = '', seed = '', id = '', secret = ''] = process.argv.slice(2);
const answer = (message: 'loaded' | 'quiet') => process.send?.(message);
const log = new AcknowledgementLog(path);
const load = new Load(log, new Choices(Number(seed)), { id, secret }, () => answer('loaded'));
process.on('message', (message: { url: string; tell: number } | 'stop') => {
  if (message === 'stop') load.stop();
  else void load.run(message.url, message.tell).then(() => answer('quiet'));
});
process.on('disconnect', () => process.exit());
