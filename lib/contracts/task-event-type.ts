// In a file that imports nothing, because browsers have neither rxjs nor Nest.
export type TerminalEventType = 'complete' | 'error' | 'cancelled';
export type TaskEventType = 'created' | 'start' | 'progress' | 'custom' | 'retry' | 'recovered' | TerminalEventType | 'heartbeat';
