package sample

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

// logs returns logits whose softmax is proportional to p.
func logs(p ...float64) []float32 {
	l := make([]float32, len(p))
	for i, x := range p {
		l[i] = float32(math.Log(x))
	}
	return l
}

func mustNew(t *testing.T, opt Options) *Sampler {
	t.Helper()
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGreedy(t *testing.T) {
	for _, c := range []struct {
		name    string
		opt     Options
		logits  []float32
		history []int32
		want    int32
	}{
		{"highest", Options{}, []float32{-3, -1, -2}, nil, 1},
		{"tie goes to the lowest id", Options{}, []float32{0, 5, 5, 5}, nil, 1},
		{"minus infinity", Options{}, []float32{-inf, -inf, -9}, nil, 2},
		{"filters do nothing", Options{TopK: 1, TopP: 0.1, MinP: 1}, []float32{1, 2}, nil, 1},
		{"history without penalty", Options{}, []float32{1, 2}, []int32{1, 1}, 1},
		// 4/2 = 2 < 3
		{"penalty divides above 0", Options{RepetitionPenalty: 2}, []float32{4, 3}, []int32{0}, 1},
		// -2*2 = -4 < -3
		{"penalty multiplies below 0", Options{RepetitionPenalty: 2}, []float32{-2, -3}, []int32{0}, 1},
		// once per token: 4/1.2 = 3.3 > 3, but 4/1.44 = 2.8 < 3
		{"penalty counts a token once", Options{RepetitionPenalty: 1.2}, []float32{4, 3}, []int32{0, 0}, 0},
		{"penalty below 1 rewards", Options{RepetitionPenalty: 0.5}, []float32{2, 3}, []int32{0}, 0},
	} {
		logits := slices.Clone(c.logits)
		got, err := mustNew(t, c.opt).Next(logits, c.history, 0)
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", c.name, got, err, c.want)
		}
		if !slices.Equal(logits, c.logits) {
			t.Errorf("%s: logits changed to %v", c.name, logits)
		}
	}
}

// Each case states the distribution that must come out, worked out by hand.
// The frequencies of 20000 draws must be within 5 standard deviations of it.
func TestDistribution(t *testing.T) {
	half := logs(0.5, 0.25, 0.125, 0.125)
	for _, c := range []struct {
		name   string
		opt    Options
		logits []float32
		want   []float64
	}{
		{"plain", Options{Temperature: 1}, half, []float64{0.5, 0.25, 0.125, 0.125}},
		// squares 16:4:1:1
		{"cold", Options{Temperature: 0.5}, half, []float64{16. / 22, 4. / 22, 1. / 22, 1. / 22}},
		// roots 2:1 of 4:1
		{"hot", Options{Temperature: 2}, logs(0.8, 0.2), []float64{2. / 3, 1. / 3}},
		{"top-k", Options{Temperature: 1, TopK: 2}, half, []float64{2. / 3, 1. / 3, 0, 0}},
		{"top-k with a tie", Options{Temperature: 1, TopK: 3}, half, []float64{4. / 7, 2. / 7, 1. / 7, 0}},
		{"top-k beyond the vocabulary", Options{Temperature: 1, TopK: 9}, half, []float64{0.5, 0.25, 0.125, 0.125}},
		// 0.5 < 0.6, so the token that crosses it stays
		{"top-p crosses", Options{Temperature: 1, TopP: 0.6}, half, []float64{2. / 3, 1. / 3, 0, 0}},
		{"top-p just reached", Options{Temperature: 1, TopP: 0.4999}, half, []float64{1, 0, 0, 0}},
		{"top-p keeps one", Options{Temperature: 1, TopP: 1e-9}, half, []float64{1, 0, 0, 0}},
		{"top-p of 1", Options{Temperature: 1, TopP: 1}, half, []float64{0.5, 0.25, 0.125, 0.125}},
		// after top-k 3 the first has 4/7 = 0.571; without it 0.5 and two would stay
		{"top-p after top-k", Options{Temperature: 1, TopK: 3, TopP: 0.55}, half, []float64{1, 0, 0, 0}},
		// cold first: 16/22 = 0.73
		{"top-p after temperature", Options{Temperature: 0.5, TopP: 0.7}, half, []float64{1, 0, 0, 0}},
		{"min-p", Options{Temperature: 1, MinP: 0.45}, half, []float64{2. / 3, 1. / 3, 0, 0}},
		{"min-p after temperature", Options{Temperature: 0.5, MinP: 0.45}, half, []float64{1, 0, 0, 0}},
		{"min-p after top-p", Options{Temperature: 1, TopP: 0.8, MinP: 0.3}, half, []float64{2. / 3, 1. / 3, 0, 0}},
		{"order of ids does not matter", Options{Temperature: 1, TopK: 2}, logs(0.1, 0.3, 0.6), []float64{0, 1. / 3, 2. / 3}},
		{"minus infinity", Options{Temperature: 9}, []float32{-inf, 0, -inf, 0}, []float64{0, 0.5, 0, 0.5}},
		{"large logits", Options{Temperature: 0.001}, []float32{3e38, -3e38}, []float64{1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const draws = 20000
			s := mustNew(t, c.opt)
			count := make([]int, len(c.want))
			for i := range draws {
				id, err := s.Next(c.logits, nil, i)
				if err != nil {
					t.Fatal(err)
				}
				count[id]++
			}
			for id, p := range c.want {
				got := float64(count[id]) / draws
				if limit := 5 * math.Sqrt(p*(1-p)/draws); math.Abs(got-p) > limit {
					t.Errorf("token %d: frequency %.4f, want %.4f within %.4f", id, got, p, limit)
				}
			}
		})
	}
}

// The lazy ranking must be a sort, with ties, -Inf and any temperature.
func TestRanking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r ranking
	for n := 1; n < 80; n++ {
		for _, temperature := range []float64{5e-324, 1, 1e30} {
			logits := make([]float32, n)
			for i := range logits {
				logits[i] = float32(rng.IntN(n))
			}
			logits[n/2] = -inf
			if n%3 == 0 {
				logits[n/3] = math.MaxFloat32
			}
			want := make([]int32, n)
			for i := range want {
				want[i] = int32(i)
			}
			slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
			r.load(logits)
			r.start(temperature)
			for _, i := range []int{n / 2, 0, n - 1, n / 4} {
				if got := r.at(i).id; got != want[i] {
					t.Fatalf("%d logits, temperature %g: rank %d is token %d, want %d", n, temperature, i, got, want[i])
				}
			}
		}
	}
}

func TestSeed(t *testing.T) {
	logits := make([]float32, 100)
	text := func(seed uint64) (ids []int32) {
		s := mustNew(t, Options{Temperature: 1, TopP: 0.9, Seed: seed})
		for range 20 {
			id, err := s.Next(logits, ids, len(ids))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if !slices.Equal(text(7), text(7)) {
		t.Error("seed 7 gave two texts")
	}
	if slices.Equal(text(7), text(8)) {
		t.Error("seeds 7 and 8 gave one text")
	}
	// ChaCha8 is fixed by the Go 1 promise: a change here changes users' texts.
	if got, want := text(7)[:5], []int32{2, 83, 45, 23, 30}; !slices.Equal(got, want) {
		t.Errorf("seed 7: %v, want %v", got, want)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		logits  []float32
		history []int32
		want    string
	}{
		{[]float32{1, nan}, nil, "logit of token 1 is NaN"},
		{[]float32{inf, 1}, nil, "logit of token 0 is +Inf"},
		{[]float32{-inf, -inf}, nil, "none of the 2 tokens"},
		{nil, nil, "none of the 0 tokens"},
		{[]float32{1, 2}, []int32{2}, "token 2 in the history"},
		{[]float32{1, 2}, []int32{-1}, "token -1 in the history"},
	} {
		for _, temperature := range []float64{0, 1} {
			_, err := mustNew(t, Options{Temperature: temperature, RepetitionPenalty: 1.1}).Next(c.logits, c.history, 0)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v %v: %v, want %q", c.logits, c.history, err, c.want)
			}
		}
	}
	for want, opt := range map[string]Options{
		"temperature -1: must be 0 or more":       {Temperature: -1},
		"temperature NaN: must be 0 or more":      {Temperature: math.NaN()},
		"top-k -1: must be 0 or more":             {TopK: -1},
		"top-p 1.5: must be in [0, 1]":            {TopP: 1.5},
		"min-p -0.1: must be in [0, 1]":           {MinP: -0.1},
		"repetition penalty -1: must be 0":        {RepetitionPenalty: -1},
		"temperature +Inf: must be 0 or more":     {Temperature: math.Inf(1)},
		"repetition penalty +Inf: must be 0 or m": {RepetitionPenalty: math.Inf(1)},
	} {
		if _, err := New(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", opt, err, want)
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	logits := make([]float32, 1000)
	for _, opt := range []Options{{}, {Temperature: 1, TopK: 40, TopP: 0.9, MinP: 0.01, RepetitionPenalty: 1.1}} {
		s := mustNew(t, opt)
		if n := testing.AllocsPerRun(50, func() { s.Next(logits, []int32{1, 2, 3}, 3) }); n != 0 {
			t.Errorf("%+v: %v allocations per Next, want 0", opt, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 128256) // Llama 3
	for i := range logits {
		logits[i] = float32(3 * rng.NormFloat64())
	}
	for name, opt := range map[string]Options{
		"greedy": {},
		"plain":  {Temperature: 0.8},
		"top-k":  {Temperature: 0.8, TopK: 40},
		"top-p":  {Temperature: 0.8, TopP: 0.9},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := New(opt)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Next(logits, nil, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
