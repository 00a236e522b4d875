package calibrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"qpt/internal/cpu"
	"qpt/kernels/linear"
)

// The model's own text is the same for any number of threads, ISA level and
// cap on memory, another one with another seed, ends at the end of text, and is text of the kind it was trained on.
func TestOwnText(t *testing.T) {
	g, src, _, _ := stories(t)
	opt := OwnTextOptions{BOS: 1, Vocab: 512, Samples: 4, Length: 30, Seed: 5, Threads: 2}
	want, err := OwnText(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	tokens, likely := 0, 0
	for _, ids := range want {
		if ids[0] != 1 || len(ids) < 2 || len(ids) > 30 || slices.Contains(ids[1:len(ids)-1], 1) {
			t.Errorf("sequence %v", ids)
		}
		tokens += len(ids)
		for i, id := range ids[1:] { // "Once upon a time" begins most of these stories
			if i == 0 && id == 403 {
				likely++
			}
		}
	}
	if tokens > 120 || tokens < 110 || likely < 3 {
		t.Errorf("%d tokens, %d of %d stories begin with Once: %v", tokens, likely, len(want), want)
	}
	opt.Threads, opt.Memory = 1, 1
	restore := cpu.SetMax(cpu.Generic)
	got, err := OwnText(context.Background(), g, src, opt)
	restore()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("one thread, no vectors, one sequence at a time: %v, %v", got, err)
	}
	opt.Seed, opt.Memory = 6, 0
	if other, err := OwnText(context.Background(), g, src, opt); err != nil || fmt.Sprint(other) == fmt.Sprint(want) {
		t.Errorf("another seed: %v", err)
	}
	opt.EOS, opt.BOS = []int{int(want[0][1])}, -1
	got, err = OwnText(context.Background(), g, src, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range got {
		if i := slices.Index(ids[1:], int32(opt.EOS[0])); i >= 0 && i != len(ids)-2 {
			t.Errorf("goes on after the end: %v", ids)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OwnText(ctx, g, src, opt); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Inputs that are 0 at every token are counted, and do no harm.
func TestDeadInputs(t *testing.T) {
	g, src, calib, _ := stories(t)
	col := slices.Repeat([]float32{1}, 64)
	col[3], col[40] = 0, 0
	dead := &Folded{Source: src, Col: map[string][]float32{"model.layers.1.input_layernorm.weight": col}}
	res, err := Run(context.Background(), g, dead, Options{Seqs: [][]int32{calib[0][:20]}, Target: projections(linear.I4), GPTQ: true, Correct: true, Sweeps: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Sites) != 20 {
		t.Fatalf("%d sites, want 4 in each of 5 blocks", len(res.Sites))
	}
	for _, s := range res.Sites {
		want := 0
		if s.Reader == "model.layers.1.self_attn.q_proj.weight" {
			want = 2
		}
		if s.Dead != want || s.Inputs < 64 {
			t.Errorf("%+v, want %d dead", s, want)
		}
	}
	for name, w := range res.Weights {
		if err := w.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
