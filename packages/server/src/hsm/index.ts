import { Hsm } from './hsm.ts';
import type { HsmNotes } from './hsm.ts';
import { readHsmSettings } from './settings.ts';

export { Hsm } from './hsm.ts';
export type { HsmNotes } from './hsm.ts';
export { readHsmSettings } from './settings.ts';
export type { HsmSettings } from './settings.ts';

/** The HSM of a data directory, where one is configured; nothing of it is loaded before something is asked. @throws StartupError as `readHsmSettings` */
export function hsmOf(
  dataFolder: string,
  env: Readonly<Record<string, string | undefined>>,
  notes: HsmNotes,
): Hsm | undefined {
  const settings = readHsmSettings(dataFolder, env);
  return settings && new Hsm(settings, notes);
}
