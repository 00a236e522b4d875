package sched

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// text is a request with its state. But for what Submit sets it belongs to the scheduler's goroutine,
// and for the time of choose to one of its helpers.
type text struct {
	req    *Request
	ctx    context.Context
	stream *Stream
	order  uint64 // of arrival
	place  uint64 // of admission

	session *lm.Session // nil while it waits
	tokens  []int32     // prompt and generated
	limit   int         // of the tokens that can be read
	branch  int         // where kept texts that begin alike part from it; a pass ends there
	text    *lm.Text
	sampler *sample.Sampler
	count   map[int32]int // of the generated tokens, with penalties
	words   []uint64      // the mask
	mask    chan error    // one when words are ready
	prompt  []*Logprob    // of the prompt, as far as it was read
	times   Times
	last    time.Time // of the token before

	end    Finish // set: done
	failed error
}

// pending is the number of tokens not read yet.
func (t *text) pending() int { return len(t.tokens) - t.session.Len() }

func (t *text) generated() int { return len(t.tokens) - len(t.req.Prompt) }

// decoding tells whether the next row is that of the token generated last.
func (t *text) decoding() bool { return t.generated() > 0 && t.pending() == 1 }

func (t *text) done() bool { return t.end != "" || t.failed != nil }

// think begins to compute the mask of the next token, while the pass runs.
func (t *text) think() {
	if t.req.Constraint == nil {
		return
	}
	c := make(chan error, 1)
	t.mask = c
	go func() {
		var err error
		defer func() { c <- err }()
		defer guard(&err)
		err = t.req.Constraint.Mask(t.words)
	}()
}

// guard turns a panic into an error of one request.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
	}
}

// choose takes the next token from the predictions after the last one read, which it changes.
func (t *text) choose(logits []float32, eos []int) error {
	var lp *Logprob
	var scale float64
	if t.req.Logprobs > 0 {
		scale = logSum(logits)
		lp = &Logprob{Top: top(logits, scale, t.req.Logprobs-1)}
	}
	raw := logits
	if lp != nil {
		raw = slices.Clone(logits)
	}
	if err := t.adjust(logits, eos); err != nil {
		return err
	}
	id, err := t.sampler.Next(logits, t.tokens, len(t.tokens))
	if err != nil {
		return err
	}
	if lp != nil {
		lp.ID, lp.Logprob, lp.Rank = id, float32(float64(raw[id])-scale), rank(raw, id)
	}
	t.took()
	t.tokens = append(t.tokens, id)
	if t.count != nil {
		t.count[id]++
	}
	e := Event{ID: id, Logprob: lp, Prompt: t.prompt}
	t.prompt = nil
	n := t.generated()
	ends := !t.req.IgnoreEOS && slices.Contains(eos, int(id)) || slices.Contains(t.req.StopIDs, id)
	stopped := false
	if !ends { // what ends a text is no part of it
		e.Text, stopped = t.text.Next(id)
	}
	if stopped || ends {
		t.end, e.Stopped = FinishStop, t.text.Stopped()
	}
	if c := t.req.Constraint; c != nil && !ends {
		if err := c.Accept(id); err != nil {
			return err
		}
		if t.end == "" && c.Done() {
			t.end = FinishStop
		}
	}
	if t.end == "" && (n == t.req.MaxTokens || len(t.tokens) > t.limit) {
		t.end = FinishLength
	}
	if t.end != "" {
		e.Text += t.text.Flush()
	} else {
		t.think()
	}
	e.Finish = t.end
	t.stream.send(e)
	return nil
}

// took notes the time of a token.
func (t *text) took() {
	now := time.Now()
	if t.times.First.IsZero() {
		t.times.First = now
	}
	t.times.Last = now
}
