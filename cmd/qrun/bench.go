package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"qpt/internal/cpu"
	"qpt/internal/ui"
	"qpt/runtime"
)

func benchCommand(o *options) *cobra.Command {
	var repeats int
	var prompts []int
	var gen int
	c := &cobra.Command{
		Use:   "bench --model FILE.qpt",
		Short: "Measure prefill and decode speed",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case repeats < 1:
				return fmt.Errorf("%w: --repeats %d: want at least 1", errUsage, repeats)
			case gen < 0:
				return fmt.Errorf("%w: --decode %d: must not be negative", errUsage, gen)
			case len(prompts) > 0 && slices.Min(prompts) < 1:
				return fmt.Errorf("%w: --prefill %d: must be 1 or more", errUsage, slices.Min(prompts))
			}
			m, err := o.open()
			if err != nil {
				return err
			}
			defer m.Close()
			if !c.Flags().Changed("prefill") { // the default lengths are a suggestion
				prompts = slices.DeleteFunc(prompts, func(n int) bool { return n > m.Context() })
			}
			return runBench(c.Context(), o, m, prompts, gen, repeats)
		},
	}
	c.Flags().IntVarP(&repeats, "repeats", "r", 5, "runs of each test; the median counts")
	c.Flags().IntSliceVar(&prompts, "prefill", []int{128, 512}, "prompt lengths (pp)")
	c.Flags().IntVar(&gen, "decode", 128, "tokens to decode (tg)")
	return c
}

// benchResult is one line of the bench.
type benchResult struct {
	Test   string  `json:"test"`
	Median float64 `json:"tokens_per_second"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func runBench(ctx context.Context, o *options, m *runtime.Model, prompts []int, gen, repeats int) error {
	var results []benchResult
	add := func(test string, tokens int, run func() error) error {
		var rates []float64
		for i := range repeats + 1 { // the first warms up
			start := time.Now()
			if err := run(); err != nil {
				return err
			}
			if i > 0 {
				rates = append(rates, float64(tokens)/time.Since(start).Seconds())
			}
		}
		slices.Sort(rates)
		results = append(results, benchResult{test, rates[len(rates)/2], rates[0], rates[len(rates)-1]})
		return nil
	}
	ids := func(n int) []int32 {
		list := make([]int32, n)
		for i := range list {
			list[i] = int32((i*104729 + 1) % m.Vocab())
		}
		return list
	}
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	for _, n := range prompts {
		if n > m.Context() {
			return fmt.Errorf("%w: a prompt of %d tokens does not fit in the context of %d (see --context)", errUsage, n, m.Context())
		}
		prompt := ids(n)
		if err := add(fmt.Sprintf("pp%d", n), n, func() error {
			s.Truncate(0)
			_, err := s.Append(ctx, prompt)
			return err
		}); err != nil {
			return err
		}
	}
	if gen > 0 {
		tokens := ids(min(gen, m.Context()))
		if err := add(fmt.Sprintf("tg%d", len(tokens)), len(tokens), func() error {
			s.Truncate(0)
			for i := range tokens {
				if _, err := s.Append(ctx, tokens[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if o.json {
		return document(struct {
			Schema  int           `json:"schema"`
			Command string        `json:"command"`
			Model   string        `json:"model"`
			CPU     string        `json:"cpu"`
			ISA     string        `json:"isa"`
			Threads int           `json:"threads"`
			Results []benchResult `json:"results"`
		}{1, "bench", o.model, cpu.Describe(), cpu.Active().String(), m.Threads(), results})
	}
	fmt.Printf("model    %s\nmachine  %s\nrun      isa %s, %d threads, KV cache %s; median of %d\n\n", o.model, cpu.Describe(), cpu.Active(), m.Threads(), m.KV(), repeats)
	t := ui.NewTable("test", "tokens/s median", "min", "max")
	for _, r := range results {
		t.Row(r.Test, fmt.Sprintf("%.1f", r.Median), fmt.Sprintf("%.1f", r.Min), fmt.Sprintf("%.1f", r.Max))
	}
	return t.Print(os.Stdout)
}
