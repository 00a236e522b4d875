package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"qpt/internal/ui"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// sampling adds the flags that choose tokens.
func sampling(f *pflag.FlagSet, s *sample.Options) {
	f.Float64Var(&s.Temperature, "temperature", 0, "0 is greedy; 0.8 is lively")
	f.IntVar(&s.TopK, "top-k", 0, "keep the k most likely tokens (0: all)")
	f.Float64Var(&s.TopP, "top-p", 0, "keep the likeliest tokens of this total probability (0: all)")
	f.Float64Var(&s.MinP, "min-p", 0, "keep tokens at least this fraction as likely as the likeliest (0: all)")
	f.Float64Var(&s.RepetitionPenalty, "repetition-penalty", 0, "divide the logits of earlier tokens (1: none)")
	f.Uint64Var(&s.Seed, "seed", 0, "of the random numbers")
}

// text is one generated text with its times.
type text struct {
	PromptTokens int       `json:"prompt_tokens"`
	Tokens       []int32   `json:"tokens"`
	Text         string    `json:"text"`
	Finish       lm.Finish `json:"finish"`
	TTFT         float64   `json:"ttft_seconds"`
	TPOT         float64   `json:"tpot_seconds"` // mean time of a token after the first, 0 with one token
}

// timeText continues ids; each gets the steps as they come.
func timeText(ctx context.Context, m *lm.Model, ids []int32, opt lm.GenerateOptions, each func(lm.Token) error) (*text, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	t := &text{PromptTokens: len(ids), Tokens: []int32{}}
	start := time.Now()
	var first time.Duration
	for step, err := range s.Generate(ctx, ids, opt) {
		if err != nil {
			return nil, err
		}
		if first == 0 {
			first = time.Since(start)
		}
		if err := each(step); err != nil {
			return nil, err
		}
		t.Text += step.Text
		if t.Finish = step.Finish; step.ID >= 0 {
			t.Tokens = append(t.Tokens, step.ID)
		}
	}
	t.TTFT = first.Seconds()
	if n := len(t.Tokens); n > 1 {
		t.TPOT = (time.Since(start) - first).Seconds() / float64(n-1)
	}
	return t, nil
}

// String sums up the times.
func (t *text) String() string {
	s := fmt.Sprintf("%d prompt tokens, first token after %s; %d tokens", t.PromptTokens, ui.Duration(seconds(t.TTFT)), len(t.Tokens))
	if t.TPOT > 0 {
		s += fmt.Sprintf(", %s each, %.1f tokens/s", ui.Duration(seconds(t.TPOT)), 1/t.TPOT)
	}
	return s + "; ended by " + string(t.Finish)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
