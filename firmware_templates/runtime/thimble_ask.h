/* The two best answers, where the model is not sure of the best one, so that an assistant can ask which is meant.
 *
 * The second best answer is that of the branch which is most likely where it leaves the best one, completed as that
 * was, by the most likely id that may follow. Every other answer leaves the best one at some id, and is no likelier
 * than its ids up to there are; so none is likelier than the branch is where it leaves. Which of all others is the
 * likeliest in the end, the model could only say if it completed them too. It costs the steps from there on: what is
 * before stays in the KV cache. The host's twin is `second_best` of pipeline/verification/reply.py. */
#ifndef THIMBLE_ASK_H
#define THIMBLE_ASK_H

#include "thimble_understand.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const thimble_asking thimble_asks;

#ifdef __cplusplus
}
#endif

#endif
