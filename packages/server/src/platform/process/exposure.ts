import type { Configuration } from '../config.ts';
import { StartupError } from '../errors.ts';
import type { ProcessFacts } from './facts.ts';

/** What others could read of this process's memory; the status page and the start of the log say it. */
export function statedExposure(facts: ProcessFacts): string[] {
  const said: string[] = [];
  if (facts.coreFileBytes === undefined || facts.isMemoryDumped === undefined) {
    said.push('Whether a crash leaves a core dump with keys in it is not known on this system.');
  } else if (facts.coreFileBytes > 0 && facts.isMemoryDumped) {
    said.push(
      'A crash leaves a core dump with keys in it: start the server with `trialkeep`, which turns them off.',
    );
  }
  if (facts.isInspected) said.push('The inspector of Node is open: whoever reaches it reads every key.');
  if (facts.tracer > 0) said.push(`A debugger is attached (process ${facts.tracer}): it reads every key.`);
  if (facts.ptraceScope === undefined || facts.ptraceScope === 0) {
    said.push(
      'Every process of the same account may read the memory of the server (kernel.yama.ptrace_scope): give the server an account of its own.',
    );
  }
  if (facts.swap === 'unknown') {
    said.push(
      'Memory may be written to swap that is not known to be encrypted: turn swap off, encrypt it, or keep the server from it (MemorySwapMax=0).',
    );
  }
  if (facts.swappedBytes > 0 && facts.swap !== 'none')
    said.push(`Of the memory of the server, ${facts.swappedBytes} bytes are in swap now.`);
  return said;
}

/**
 * Refuses to open keys in a process whose memory others are reading, and without the module that the configuration demands.
 *
 * @throws StartupError `process.observed` (regulated profile), `process.fips_required`
 */
export function assertProcess(
  { profile, fips = 'off' }: Pick<Configuration, 'profile' | 'fips'>,
  facts: ProcessFacts,
): void {
  if (fips === 'required' && !facts.isFips) throw new StartupError('process.fips_required');
  if (profile === 'evaluation') return;
  if (facts.isInspected || facts.tracer > 0)
    throw new StartupError('process.observed', statedExposure(facts).join(' '));
}
