package sched

import (
	"fmt"
	"math"
	"slices"
)

// adjust changes the predictions as the request wants: penalties, bias, no end before MinTokens, constraint.
func (t *text) adjust(logits []float32, eos []int) error {
	r := t.req
	for id, n := range t.count {
		logits[id] -= float32(r.Presence + r.Frequency*float64(n))
	}
	for id, b := range r.Bias {
		logits[id] += b
	}
	never := float32(math.Inf(-1))
	if len(r.Allowed) > 0 {
		allowed := make(map[int32]float32, len(r.Allowed))
		for _, id := range r.Allowed {
			allowed[id] = logits[id]
		}
		for id := range logits {
			logits[id] = never
		}
		for id, l := range allowed {
			logits[id] = l
		}
	}
	for _, run := range r.Banned {
		if before := run[:len(run)-1]; len(before) <= t.generated() && slices.Equal(before, t.tokens[len(t.tokens)-len(before):]) {
			logits[run[len(before)]] = never
		}
	}
	if t.generated() < r.MinTokens {
		for _, id := range eos {
			logits[id] = never
		}
		for _, id := range r.StopIDs {
			logits[id] = never
		}
	}
	if r.Constraint == nil {
		return nil
	}
	if err := <-t.mask; err != nil {
		return fmt.Errorf("constraint: %w", err)
	}
	for i := range logits {
		if t.words[i/64]>>(i%64)&1 == 0 {
			logits[i] = never
		}
	}
	return nil
}

// logSum is the logarithm of the sum of the exponentials.
func logSum(logits []float32) float64 {
	most := slices.Max(logits)
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - float64(most))
	}
	return float64(most) + math.Log(sum)
}

// rank is the place of a token among all by probability, 1 of the likeliest; equal ones share it.
func rank(logits []float32, id int32) int {
	n := 1
	for _, l := range logits {
		if l > logits[id] {
			n++
		}
	}
	return n
}

// top returns the n likeliest tokens; among equals those with the lowest ids.
func top(logits []float32, scale float64, n int) []TokenLogprob {
	list := make([]TokenLogprob, 0, n+1)
	for id, l := range logits {
		if len(list) == n && (n == 0 || l <= list[n-1].Logprob) {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, l, func(t TokenLogprob, l float32) int {
			if t.Logprob >= l {
				return -1
			}
			return 1
		})
		list = slices.Insert(list, at, TokenLogprob{int32(id), l})
		list = list[:min(len(list), n)]
	}
	for i := range list {
		list[i].Logprob = float32(float64(list[i].Logprob) - scale)
	}
	return list
}

// seePrompt notes the probability of the token of the prompt at position pos, given the predictions before it.
func (t *text) seePrompt(pos int, logits []float32) {
	if pos >= len(t.req.Prompt) || pos < len(t.prompt) {
		return
	}
	scale := logSum(logits)
	id := t.req.Prompt[pos]
	t.prompt = append(t.prompt, &Logprob{ID: id, Logprob: float32(float64(logits[id]) - scale), Rank: rank(logits, id), Top: top(logits, scale, t.req.PromptLogprobs-1)})
}
