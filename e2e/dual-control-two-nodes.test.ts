/**
 * Dual control over two servers on one PostgreSQL: what people approved happens once, whichever node does it and whichever dies.
 * TRIALKEEP_RACE_SEED repeats the choices of an earlier run (the moments depend on the machine as well).
 */
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { openHouse } from './dual-control/house.ts';
import type { House } from './dual-control/house.ts';
import { tellLedger, tellStories } from './dual-control/stories.ts';
import { postgresSite } from './nodes.ts';

let opened: Promise<House> | undefined;
const open = async (): Promise<House> => openHouse(await postgresSite(), 14);
const house = (): Promise<House> => (opened ??= open());
const place = { name: 'PostgreSQL, two nodes', skip: postgresMissing, house };

tellStories(place, 12);
tellLedger(place);
