/* Random networks for the tests of the planner, and everything that a run of a plan leaves, to be compared
 * bit by bit. For use inside a running test only: whatever goes wrong fails it.
 */
#ifndef FACET_TESTS_PLAN_DAG_H
#define FACET_TESTS_PLAN_DAG_H

#include "tensor/plan.h"

enum { DAG_CLASSES = 4, DAG_NUMBERS = 6, DAG_LOSSES = 3, DAG_OUTPUTS = 3 };

typedef struct dag {
    ft_graph *g;
    uint64_t seed;
    ft_val image;   /* standard normal */
    ft_val labels;  /* (n,1,1,1) one of DAG_CLASSES, or -1 */
    ft_val numbers; /* (n,1,1,DAG_NUMBERS) standard normal */
    ft_val flags;   /* (n,1,1,DAG_NUMBERS) 0, 1, or -1; any of the last three may be {0}: there is none */
    int32_t n_losses, n_outputs;
    ft_val losses[DAG_LOSSES], outputs[DAG_OUTPUTS];
    ft_real weights[DAG_LOSSES];
} dag;

/* A network of 5 to 24 random steps with 1 to 3 losses and up to 3 values to keep; about a third of them
 * have a frozen prefix. */
void dag_make(dag *d, uint64_t seed);
/* The network `name` of layers/ with a softmax loss for images of that size; outputs: its features. */
void dag_make_net(dag *d, const char *name, int32_t size, float dropout, uint64_t seed);
void dag_free(dag *d);

/* Gives every parameter (statistics too) the value it starts from: random, a function of its name. */
void dag_reset(dag *d);
ft_plan *dag_compile(dag *d, int32_t batch, bool training, bool isolate);
/* Fills the inputs that the plan uses. The first samples are the same for any n. */
void dag_feed(const dag *d, const ft_plan *p, int32_t n, uint64_t seed);

/* Losses, kept outputs, gradients and all parameters after a run, one after the other. */
typedef struct dag_part {
    char what[128];
    int64_t at, n;
} dag_part;
typedef struct dag_record {
    dag_part *parts;
    ft_real *numbers;
    int32_t n_parts;
    int64_t n_numbers;
} dag_record;
/* reset, feed, forward and, if training, backward. Fails unless every number is finite. */
dag_record dag_run(dag *d, ft_plan *p, int32_t n, bool training);
/* The gradients alone, as they are now. */
dag_record dag_gradients(const dag *d, const ft_plan *p);
void dag_record_free(dag_record *r);
/* Frees `got` and fails unless it is `want`: bit by bit for tolerance 0, else each part in its L2 norm. */
void dag_expect(const dag *d, const char *what, dag_record got, const dag_record *want, double tolerance);

#endif
