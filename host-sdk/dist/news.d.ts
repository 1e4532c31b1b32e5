/** An event that has one thing to say. */
export declare function tellOf(target: EventTarget, type: string, detail: string): void;
