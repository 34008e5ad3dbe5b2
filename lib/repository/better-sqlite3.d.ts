/** Compiled where it is used, not in development; what it exports is for TypeORM. */
declare module 'better-sqlite3';
