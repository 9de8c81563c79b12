import { AsyncLocalStorage } from 'node:async_hooks';

/** What a trace tells apart in a request; docs/how-to/trace-requests.md says what each is. A fixed list: no name holds anything of a request. */
export const stepNames = [
  'authenticate',
  'authorise',
  'act',
  'flush',
  'database.read',
  'database.write',
  'database.single',
  'outward',
] as const;
export type StepName = (typeof stepNames)[number];

/** A request, or a step of it, that is being traced. */
export interface Scope {
  /** Runs `work` as a step inside this one. */
  step<T>(name: StepName, work: () => Promise<T>): Promise<T>;
}

const current = new AsyncLocalStorage<Scope | undefined>();

/** Runs `work`, as a step of what is being traced; where nothing is, this is a look at a variable. */
export function step<T>(name: StepName, work: () => Promise<T>): Promise<T> {
  const scope = current.getStore();
  return scope === undefined ? work() : scope.step(name, work);
}

/** What is being traced here; to be given to `within` where work for several requests is done at once. */
export function currentScope(): Scope | undefined {
  return current.getStore();
}

/** Runs `work` as part of what is being traced, or of nothing. */
export function within<T>(scope: Scope | undefined, work: () => T): T {
  return current.getStore() === scope ? work() : current.run(scope, work);
}
