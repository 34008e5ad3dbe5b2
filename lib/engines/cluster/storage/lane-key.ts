/** The lane of tasks without a user: shared by all of them, and under no user's limit. */
export const NO_USER = '-';

/** By which tasks of one user are told apart from those of others; no user's is that of nobody. */
export const laneOf = (userId: string | null): string => (userId === null ? NO_USER : `u${userId}`);
