/**
 * Dual control over a real server on SQLite: what people approved happens once, also where the server dies at that.
 * TRIALKEEP_RACE_SEED repeats the choices of an earlier run (the moments depend on the machine as well).
 */
import { openHouse } from './dual-control/house.ts';
import type { House } from './dual-control/house.ts';
import { tellLedger, tellStories } from './dual-control/stories.ts';
import { sqliteSite } from './nodes.ts';

let opened: Promise<House> | undefined;
const open = async (): Promise<House> => openHouse(await sqliteSite(), 8);
const place = { name: 'SQLite', skip: false, house: () => (opened ??= open()) } as const;

tellStories(place, 6);
tellLedger(place);
