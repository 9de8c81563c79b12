export { assertProcess, statedExposure } from './exposure.ts';
export { processFacts, type ProcessFacts } from './facts.ts';
export { hardenProcess } from './harden.ts';
