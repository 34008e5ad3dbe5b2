/**
 * Whether a call comes from a handler, read off the stack, which V8 follows over `await`. An AsyncLocalStorage would see more, and costs
 * each run two thirds of its memory once more on Node 20 and 22; this costs nothing until it is asked, which is while a system stops.
 * What it cannot see, such as the callback of a timer or of a stream, counts as a call from outside.
 */
export function isCalledFrom(file: string, functionName: string): boolean {
  return callSites(Number.POSITIVE_INFINITY).some((site) => site.getFileName() === file && site.getFunctionName() === functionName);
}

/** The file that calls, as stacks name it. */
export function callingFile(): string {
  return callSites(3)[2]?.getFileName() ?? '';
}

/** This function's own frame comes first. */
function callSites(limit: number): NodeJS.CallSite[] {
  const before = { stackTraceLimit: Error.stackTraceLimit, prepareStackTrace: Reflect.get(Error, 'prepareStackTrace') as unknown };
  try {
    Error.stackTraceLimit = limit;
    Error.prepareStackTrace = (_error, sites) => sites;
    return (new Error('for its stack').stack as unknown as NodeJS.CallSite[] | undefined) ?? [];
  } catch {
    return []; // a host that froze its intrinsics
  } finally {
    try {
      Object.assign(Error, before);
    } catch {
      // As above.
    }
  }
}
