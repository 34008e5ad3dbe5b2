export { type TaskflowHealth, TaskflowHealthIndicator } from './taskflow-health.indicator.js';
