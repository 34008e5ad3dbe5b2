/**
 * The entry of every measuring process. `{ module, params }` runs `run(params)` of the module and sends what it gives; when
 * that is an object with functions (`{ calls }`), the process stays and answers `{ call, params }`.
 */
let calls;

process.on('message', async ({ module, call, params }) => {
  try {
    let result;
    if (module !== undefined) {
      result = await (await import(module)).run(params);
      calls = result?.calls;
      if (calls !== undefined) result = result.ready ?? null;
    } else result = await calls[call](params);
    process.send({ result: result ?? null }, () => {
      if (calls === undefined || call === 'close') process.exit(0);
    });
  } catch (error) {
    process.send({ error: error?.stack ?? String(error) }, () => process.exit(1));
  }
});
process.on('disconnect', () => process.exit(1));
