/* On which NUMA nodes the pages of a mapping are. */
#ifndef PR_NODES_H
#define PR_NODES_H

/* Of so many nodes at most it is told; pages on further ones are not counted. */
enum { PR_NODES_TOLD = 16 };

/* Pages that were looked at, by node. */
struct pr_nodes {
    unsigned count;
    struct pr_node_pages {
        int node;
        unsigned pages;
    } list[PR_NODES_TOLD];
};

void pr_nodes_add(struct pr_nodes *nodes, int node, unsigned pages);

/* The node with most of the pages, of equals the first; -1 where none was looked at. */
int pr_nodes_most(const struct pr_nodes *nodes);

/* The node of a machine that has only one; -1 where there are more, or nobody tells. */
int pr_only_node(void);

struct pr_generation;

/* Finds out where the pages of a generation are that is about to be told of, looking at some of them. */
void pr_nodes_find(struct pr_generation *generation);

#endif
