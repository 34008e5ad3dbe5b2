export { ApiTaskEvents, ApiTasks } from './api-tasks.decorator.js';
export { PageDto, SubmitTaskDto, TaskDto, TaskErrorDto, TaskEventDto } from './task.dto.js';
