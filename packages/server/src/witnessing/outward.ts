import { OutwardFault, askOutside } from '../platform/outward.ts';
import type { OutwardAnswer, OutwardFaultCode, OutwardRequest } from '../platform/outward.ts';
import { CosignerFault } from './faults.ts';
import type { CosignerFaultCode } from './faults.ts';

const faults: Record<OutwardFaultCode, CosignerFaultCode> = {
  unreachable: 'unreachable',
  slow: 'slow',
  redirect: 'redirect',
  'too-large': 'answer-too-large',
};

/**
 * Asks a witness or mirror.
 *
 * @throws CosignerFault `unreachable`, `slow`, `redirect`, `answer-too-large`
 */
export async function askCosigner(request: OutwardRequest): Promise<OutwardAnswer> {
  try {
    return await askOutside(request);
  } catch (error) {
    if (!(error instanceof OutwardFault)) throw error;
    throw new CosignerFault(faults[error.code], error.detail, error);
  }
}
