package main

import (
	"context"
	"slices"
	"time"

	"qpt/internal/cpu"
	"qpt/kernels/probe"
	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// warmUp is how many tokens a test decodes before it is timed; prompts are run whole.
const warmUp = 8

// measure repeats a test, with probes of the machine before, between and after.
func (t benchTest) measure(ctx context.Context, m *lm.Model, s *lm.Session, repeats int, done func()) ([]benchResult, error) {
	warm := t
	warm.decode = min(t.decode, warmUp)
	if _, _, err := warm.once(ctx, m, s); err != nil {
		return nil, err
	}
	done()
	var probes machine
	var prompts, decodes []float64
	probes.measure(m.Model)
	for range repeats {
		p, d, err := t.once(ctx, m, s)
		if err != nil {
			return nil, err
		}
		probes.measure(m.Model)
		done()
		prompts, decodes = append(prompts, p), append(decodes, d)
	}
	var list []benchResult
	add := func(test, unit string, decode bool, tokens int, seconds []float64, work ...runtime.Cost) {
		r := newBenchResult(unit, tokens, seconds, probes.least(work))
		r.Test, r.ISA, r.Threads, r.Decode = test, cpu.Active().String(), m.Threads(), decode
		r.Read = number(median(probes.read))
		list = append(list, r)
	}
	prompt := m.Cost(0, t.prompt)
	var steps []runtime.Cost
	for i := range t.decode {
		steps = append(steps, m.Cost(t.depth+t.prompt+i, 1))
	}
	switch {
	case t.decode == 0:
		add(t.name, tokensPerSecond, false, t.prompt, prompts, prompt)
	case t.prompt == 0:
		add(t.name, tokensPerSecond, true, t.decode, decodes, steps...)
	default:
		add(t.name+" TTFT", milliseconds, false, 1, prompts, prompt)
		add(t.name+" TPOT", milliseconds, true, t.decode, decodes, steps...)
	}
	return list, nil
}

// once runs a test and returns the times of the prompt and of the decoded tokens.
func (t benchTest) once(ctx context.Context, m *lm.Model, s *lm.Session) (prompt, decode float64, err error) {
	greedy, err := sample.New(sample.Options{})
	if err != nil {
		return 0, 0, err
	}
	next := anyTokens(m, 1)
	step := func(ids []int32) {
		var logits []float32
		if err == nil {
			logits, err = s.Append(ctx, ids)
		}
		if err == nil {
			next[0], err = greedy.Next(logits, nil, s.Len())
		}
	}
	s.Truncate(t.depth)
	if n := t.depth - s.Len(); n > 0 {
		step(anyTokens(m, n))
	}
	ids := anyTokens(m, t.prompt)
	start := time.Now()
	if t.prompt > 0 {
		step(ids)
	}
	middle := time.Now()
	for range t.decode {
		step(next)
	}
	return middle.Sub(start).Seconds(), time.Since(middle).Seconds(), err
}

// anyTokens returns n different tokens or nearly so.
func anyTokens(m *lm.Model, n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32((i*104729 + 1) % m.Vocab())
	}
	return list
}

// machine collects measurements of what the cores can do.
type machine struct {
	read []float64                   // bytes a second, of the model's weights
	peak map[probe.Product][]float64 // operations a second
}

// measure takes about 50 ms for a GB of weights and 20 ms for each kind of product.
func (p *machine) measure(m *runtime.Model) {
	if p.peak == nil {
		p.peak = map[probe.Product][]float64{}
		for product := range m.Cost(0, 1).Ops {
			p.peak[product] = nil
		}
	}
	p.read = append(p.read, probe.Read(m.Mapped(), m.Threads()))
	for product := range p.peak {
		p.peak[product] = append(p.peak[product], probe.Peak(product, m.Threads()))
	}
}

// bound is the least time of some work and what it is spent on.
type bound struct {
	seconds float64 // 0: unknown
	memory  bool    // on reading, not on computing
	peak    float64 // operations a second if it were computing alone
}

// least returns the bound of work done piece after piece: the time to read or
// the time to compute, whichever is longer, since they may overlap. It is
// unknown if a peak is.
func (p *machine) least(work []runtime.Cost) bound {
	var read, compute, total float64
	for _, c := range work {
		read += c.Bytes / median(p.read)
		for product, ops := range c.Ops {
			peak := median(p.peak[product])
			if peak == 0 {
				return bound{}
			}
			compute += ops / peak
			total += ops
		}
	}
	return bound{max(read, compute), read >= compute, total / compute}
}

// median returns the middle number, or the mean of the two in the middle.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
