import type { LoggerService } from '@nestjs/common';
import type { TaskflowOptions } from '../../config/taskflow.options.js';
import type { Clock, IdSource } from '../../contracts/clock.interface.js';
import type { Telemetry } from '../../contracts/telemetry.interface.js';
import type { TaskId } from '../../contracts/ids.js';
import { GuardService } from '../../guard/guard.service.js';
import type { HandlerRegistry } from '../../handlers/handler-registry.js';
import { databaseTarget } from '../../repository/database-target.js';
import type { DatabasePorts } from '../../repository/repository.ports.js';
import { ClusterFacts } from './facts/cluster-facts.js';
import { DatabaseTime } from './facts/database-time.js';
import { FactNews } from './facts/fact-news.js';
import { OwnRuns } from './facts/own-runs.js';
import { StepCaller } from './facts/step-caller.js';
import { ClusterChangeFeed } from './feed/cluster-change-feed.js';
import { Follower } from './feed/follower.js';
import { HintListener } from './feed/hint-listener.js';
import { Hints } from './feed/hints.js';
import { ClusterTaskCreator } from './intake/cluster-task-creator.js';
import { NewTasks } from './intake/new-tasks.js';
import { HostSubmits } from './intake/host-submits.js';
import { SlotStarts } from './intake/slot-starts.js';
import { isCounted, submitBounds } from './intake/submit-bounds.js';
import { SubmitCaller } from './intake/submit-caller.js';
import { membershipOf } from './members/membership-of.js';
import { LoopPulse } from './members/loop-pulse.js';
import { ClusterQueries } from './queries/cluster-queries.js';
import { ClusterWorkFeed } from './queue/cluster-work-feed.js';
import { NodeSlots } from './queue/node-slots.js';
import { Rescue } from './queue/rescue.js';
import { RunMarks } from './queue/run-marks.js';
import { StartedRuns } from './queue/started-runs.js';
import { WorkClock } from './queue/work-clock.js';
import { ClusterStorage } from './storage/cluster-storage.js';
import { CLUSTER_HOME } from './storage/submit-encoding.js';
import { QueueSizes } from './upkeep/queue-sizes.js';
import { Upkeep } from './upkeep/upkeep.js';

/** What the engine needs of the process that it runs in. */
export interface ClusterSurroundings {
  readonly options: TaskflowOptions;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: LoggerService;
  readonly telemetry: Telemetry;
  readonly handlers: HandlerRegistry;
}

/** A lock that another transaction holds is waited for so long; a submit then tries again in a smaller group. Unit: ms. */
const LOCK_MS = 250;

export type ClusterParts = ReturnType<typeof clusterParts>;

/** The rooms of the engine, joined. */
export function clusterParts(around: ClusterSurroundings) {
  const { options, clock, ids, logger, telemetry, handlers: registry } = around;
  const { cluster, recovery, retention } = options;
  const { slots: slotLimits, backpressure } = options.guard;
  const ports: DatabasePorts = { clock, ensureFile: () => Promise.resolve(), sharesProcessWithLog: true };
  const guard = new GuardService(options, clock, telemetry);
  const storage = new ClusterStorage(databaseTarget(options.repository), ports);
  const { functions, reads } = storage;
  const random = (): number => ids.random();

  const time = new DatabaseTime(clock);
  const onNow = (now: number): void => time.learn(now);
  const news = new FactNews();
  const runs = new OwnRuns();
  const membership = membershipOf({ ...around, storage });
  const me = (): string => membership.me;
  const queries = new ClusterQueries(reads);
  const load = (id: TaskId) => queries.load(id);
  const loadHead = (id: TaskId) => queries.load(id, false);
  const caller = new StepCaller(functions, clock, me, onNow, LOCK_MS);
  const facts = new ClusterFacts({ caller, runs, news, time, me, load: loadHead, isOurs: ({ home }) => home === CLUSTER_HOME });

  const hints = new Hints(
    clock,
    (payload) => storage.notify(payload),
    () => cluster.listen,
  );
  const isListening = (): boolean => listener.isListening;
  const follower = new Follower({
    clock,
    news,
    read: (positions) => {
      hints.following();
      return reads.follow(positions);
    },
    present: (taskIds) => reads.findByIds(taskIds, false),
    load: loadHead,
    isListening,
  });
  const changes = new ClusterChangeFeed(news, follower, runs);
  news.onMade((made) => {
    for (const { task, entry } of made) {
      if (entry.type === 'created') sizes.submitted();
      if (entry.type === 'cancel' && runs.get(task.id) === undefined) hints.cancel(task.id);
      hints.event(task.id);
    }
  });

  const slots = new NodeSlots(cluster.maxExecutionPerNode, () => work.placeCameFree());
  const limits = { all: slotLimits.maxExecutionGlobal, perUser: slotLimits.maxExecutionPerUser };
  const sizes = new QueueSizes({ read: (names) => reads.sizes(names), members: () => membership.members, clock, logger });
  const hint = (): void => hints.work();
  const workClock = new WorkClock({
    functions,
    clock,
    time,
    logger,
    random,
    pollIntervalMs: cluster.pollIntervalMs,
    isListening,
    hint,
  });
  const work: ClusterWorkFeed = new ClusterWorkFeed({
    caller,
    runs,
    slots,
    started: new StartedRuns(queries, clock, logger),
    news,
    membership,
    work: workClock,
    limits: { ...limits, recovering: recovery.maxConcurrentRecoveries, suspect: 1 },
    handlers: () => registry.names().map((name) => ({ name, limit: registry.get(name)?.maxConcurrentExecutions ?? null })),
    size: () => sizes.work,
    hint,
    lockMs: LOCK_MS,
  });

  const bounds = submitBounds(backpressure, guard, LOCK_MS);
  const submits = new SubmitCaller({
    functions,
    clock,
    me,
    onNow,
    bounds: () => bounds,
  });
  const starts = new SlotStarts({
    submits,
    slots,
    clock,
    limits,
    slotTimeoutMs: slotLimits.slotTimeoutMs,
    takesWork: () => work.takesWork,
    timedOut: () => void guard.refusal('slot', undefined),
  });
  const tasks = new NewTasks(ids, () => telemetry.traceparent());
  const creator = new ClusterTaskCreator({
    submits,
    tasks,
    host: new HostSubmits(functions.names, tasks, me),
    news,
    work,
    starts,
    telemetry,
    me,
    load,
    fullBy: (more, isDelayed) => {
      const { bound } = isDelayed ? guard.waiting.delayed : guard.waiting.queued;
      return isCounted(bound) || sizes.hasRoom(more, isDelayed, bound.max) ? undefined : isDelayed ? 'delayed' : 'queue';
    },
    maxPerWindow: bounds.window.max,
    maxPerUserWindow: bounds.window.maxPerUser,
    refusal: (limit, retryAfterMs) => guard.refusal(limit, retryAfterMs),
  });

  const marks = new RunMarks({
    functions,
    caller,
    runs,
    work,
    changes,
    membership,
    load,
    hasStartsUnderWay: () => starts.underWay > 0,
    clock,
    logger,
  });
  const rescue = new Rescue({
    functions,
    facts,
    membership,
    bounds: recovery,
    clock,
    logger,
    telemetry,
    offer: (task) => work.offer(task),
  });
  const upkeep = new Upkeep({
    database: functions,
    reads,
    facts,
    membership,
    time,
    clock,
    logger,
    telemetry,
    retention,
    windowSizeMs: backpressure.windowSizeMs,
    vacuum: () => storage.vacuum(),
  });
  const receiver = {
    work: () => caller.wantClaim(),
    cancels: (taskIds: readonly TaskId[]) => {
      if (taskIds.length === 0 || taskIds.some((id) => runs.get(id) !== undefined)) marks.lookNow();
    },
    events: (taskIds: readonly TaskId[]) => follower.hinted(taskIds),
  };
  const listener: HintListener = new HintListener({
    connect: (onHint, onEnd) => storage.listen(onHint, onEnd),
    hints,
    receiver,
    clock,
    logger,
    isWanted: cluster.listen,
  });
  const pulse = new LoopPulse(() => undefined);
  return {
    guard,
    slots,
    storage,
    membership,
    runs,
    changes,
    facts,
    creator,
    work,
    queries,
    pulse,
    caller,
    submits,
    marks,
    rescue,
    upkeep,
    sizes,
    follower,
    hints,
    listener,
  };
}
