// Clicks on the node's own page count once it was in sight for a moment.
import { still } from "../../frame/still.ts";

export const { counts, restart } = still("still");
