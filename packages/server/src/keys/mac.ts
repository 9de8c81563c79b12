import { isMac, macWith } from '@trialkeep/crypto';
import type { Operations, Output } from '@trialkeep/contract';
import type { Context } from '../platform/implementation.ts';
import { isMacInToken, isResident, macInToken } from './in-token.ts';
import { chosenVersion, currentVersion, messageOf, permitted, secretOf } from './permitted.ts';
import type { UseParts } from './permitted.ts';

/** The generate-MAC operation. Nothing of the message is kept: it may be one that can be guessed. */
export async function generateMac(
  parts: UseParts,
  context: Context<'keys.generate-mac'>,
): Promise<Output<Operations['keys.generate-mac']>> {
  const key = await permitted(parts, context, 'keys.generate-mac');
  const current = currentVersion(key);
  const message = messageOf(context.input.message);
  const mac = isResident(current)
    ? await macInToken(parts, key, current, message)
    : macWith(key.row.algorithm, await secretOf(parts, key, current), message);
  return { mac: mac.toString('base64'), key: key.row.id, version: current.version };
}

/** The verify-MAC operation, in constant time. */
export async function verifyMac(
  parts: UseParts,
  context: Context<'keys.verify-mac'>,
): Promise<Output<Operations['keys.verify-mac']>> {
  const { input, payload } = context;
  const key = await permitted(parts, context, 'keys.verify-mac');
  const chosen = chosenVersion(context, key, input.version);
  const [message, mac] = [messageOf(input.message), Buffer.from(input.mac, 'base64')];
  const valid = isResident(chosen)
    ? await isMacInToken(parts, key, chosen, { message, mac })
    : isMac(key.row.algorithm, await secretOf(parts, key, chosen), message, mac);
  payload['valid'] = valid;
  return { valid, key: key.row.id, version: chosen.version };
}
