#include "spool/task.h"

void task_set_outcome(struct task *task, const struct outcome *outcome)
{
    bool is_copied = false;
    struct outcome copy = { 0 };
    for (size_t i = 0; i < task->recipient_count; i++) {
        if (task->recipients[i].outcome.action != ACTION_NONE)
            continue;
        if (!is_copied)
            outcome_copy(&task->memory, &copy, outcome);
        is_copied = true;
        task->recipients[i].outcome = copy;
    }
}
