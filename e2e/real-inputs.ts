import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A folder of the real inputs that lie beside the repository during development, or why there is none. */
export function realInputs(name = ''): { folder: string; missing: string | false } {
  const folder = fileURLToPath(new URL(`../../shared/data/${name}`, import.meta.url));
  return {
    folder,
    missing: existsSync(folder) ? false : `there is no ../shared/data/${name} beside the repository`,
  };
}
