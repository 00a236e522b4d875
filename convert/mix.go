package convert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"qpt/format"
	"qpt/runtime"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

// Target is what Plan.Mix aims at; one of its fields is set.
type Target struct {
	Bits    float64 // bits per weight of the file's tensors (Plan.Bytes over Plan.Values) at most
	Bytes   int64   // of the file's tensors at most
	KL      float64 // predicted, at most, with as few bytes as possible
	Seconds float64 // of one token's products with matrices on this machine at most
}

func (t Target) String() string {
	switch {
	case t.Bits > 0:
		return fmt.Sprintf("%g bits per weight", t.Bits)
	case t.Bytes > 0:
		return fmt.Sprintf("%d bytes", t.Bytes)
	case t.KL > 0:
		return fmt.Sprintf("KL %g", t.KL)
	}
	return fmt.Sprintf("%.4g ms a token", t.Seconds*1e3)
}

// Mixed is a choice of schemes.
type Mixed struct {
	Target  Target
	KL      float64 // predicted
	Seconds float64 // predicted, 0 unless it was asked for
	Layers  int     // that take part
}

// mixReason is shown beside the tensors whose scheme Mix chose.
const mixReason = "mixed precision"

// Mix gives each matrix of s the candidate that, all together, reaches the target with the least predicted KL
// (for a target KL: the fewest bytes), and puts the choice before the rules of the recipe.
func (p *Plan) Mix(s *Sensitivity, t Target) (*Mixed, error) {
	if t == (Target{}) {
		return nil, fmt.Errorf("%w: mixed precision wants a target", ErrUsage)
	}
	x := p.knapsack(s, t)
	pick := choose(x.cost, x.value, x.budget)
	if pick == nil {
		return nil, x.outOfReach()
	}
	m := &Mixed{Target: t, KL: s.Fixed, Seconds: s.FixedSeconds, Layers: len(pick)}
	var rules []format.Rule
	for i, l := range s.Layers {
		c := l.Candidates[pick[i]]
		m.KL += l.Predict(c)
		m.Seconds += c.Seconds
		rules = append(rules, format.Rule{Match: "^" + regexp.QuoteMeta(l.Name) + "$", Scheme: c.Scheme, Group: c.Group, Reason: mixReason})
	}
	p.Recipe.Rules = slices.Concat(rules, p.Recipe.Rules)
	p.Recipe.Mixed = &format.Mixed{Target: t.String(), PredictedKL: digits(m.KL, 4), Calibration: p.sum}
	return m, p.decide()
}

// knapsack is what Mix chooses from.
type knapsack struct {
	p           *Plan
	s           *Sensitivity
	t           Target
	cost, value [][]float64 // of the candidates of each layer
	rest        int64       // bytes of all else
	budget      float64     // for the costs
}

func (p *Plan) knapsack(s *Sensitivity, t Target) *knapsack {
	x := &knapsack{p: p, s: s, t: t, cost: make([][]float64, len(s.Layers)), value: make([][]float64, len(s.Layers))}
	part := map[string]bool{}
	for i, l := range s.Layers {
		part[l.Name] = true
		for _, c := range l.Candidates {
			cost, value := float64(c.Bytes), l.Predict(c)
			switch {
			case t.KL > 0:
				cost, value = value, cost
			case t.Seconds > 0:
				cost = c.Seconds
			}
			x.cost[i], x.value[i] = append(x.cost[i], cost), append(x.value[i], value)
		}
	}
	for _, it := range p.Items {
		if !part[it.Name] {
			x.rest += it.Bytes
		}
	}
	switch {
	case t.Bits > 0:
		x.budget = math.Floor(t.Bits*float64(p.Values())/8) - float64(x.rest)
	case t.Bytes > 0:
		x.budget = float64(t.Bytes - x.rest)
	case t.KL > 0:
		x.budget = t.KL - s.Fixed
	default:
		x.budget = t.Seconds - s.FixedSeconds
	}
	return x
}

// least is the smallest sum of costs.
func (x *knapsack) least() (sum float64) {
	for _, row := range x.cost {
		sum += slices.Min(row)
	}
	return sum
}

func (x *knapsack) outOfReach() error {
	least := x.least()
	var best string
	switch {
	case x.t.Bits > 0:
		best = fmt.Sprintf("%.3f bits per weight", (least+float64(x.rest))*8/float64(x.p.Values()))
	case x.t.Bytes > 0:
		best = fmt.Sprintf("%d bytes", int64(least)+x.rest)
	case x.t.KL > 0:
		best = fmt.Sprintf("a KL of %.3g", least+x.s.Fixed)
	default:
		best = fmt.Sprintf("%.4g ms a token", (least+x.s.FixedSeconds)*1e3)
	}
	return fmt.Errorf("%w: the target of %s cannot be reached: the least is %s (more matrices take part with --mix-tables, fewer excluded ones, or another scheme)", ErrUsage, x.t, best)
}

// digits rounds x to n of them.
func digits(x float64, n int) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', n, 64), 64)
	return x
}

// cells is how finely choose divides what there is to spend.
const cells = 1 << 16

// choose picks an alternative of each row so that the costs sum to at most
// budget and the values to the least possible: a knapsack of many choices,
// solved exactly (dynamic programming) over costs rounded up to a 1/cells part of what the budget
// leaves beyond the least; whole numbers below that many are not rounded. Without a solution pick
// is nil.
func choose(cost, value [][]float64, budget float64) (pick []int) {
	whole, least, most := true, 0.0, 0.0
	for _, row := range cost {
		least += slices.Min(row)
		most += slices.Max(row)
		whole = whole && !slices.ContainsFunc(row, func(c float64) bool { return c != math.Trunc(c) })
	}
	room := budget - least
	if !(room >= 0) {
		return nil
	}
	room = min(room, (most-least)*(1+2*float64(len(cost))/cells)) // nothing costs more, rounded up
	unit := max(room/cells, math.SmallestNonzeroFloat64)
	if whole && room < cells {
		unit = 1
	}
	n := int(min(room/unit, cells)) + 1
	best, next := make([]float64, n), make([]float64, n) // [cost] least value
	choice := make([][]uint8, len(cost))
	for i, row := range cost {
		low := slices.Min(row)
		choice[i] = make([]uint8, n)
		for b := range next {
			next[b] = math.Inf(1)
		}
		for j, c := range row {
			extra := math.Ceil((c - low) / unit * (1 - 1e-12))
			if extra >= float64(n) {
				continue
			}
			for b := int(extra); b < n; b++ {
				if v := best[b-int(extra)] + value[i][j]; v < next[b] {
					next[b], choice[i][b] = v, uint8(j)
				}
			}
		}
		best, next = next, best
	}
	pick = make([]int, len(cost))
	b := n - 1
	for i := len(cost) - 1; i >= 0; i-- {
		pick[i] = int(choice[i][b])
		b -= int(math.Ceil((cost[i][pick[i]] - slices.Min(cost[i])) / unit * (1 - 1e-12)))
	}
	return pick
}

// Measure runs the converted file on the text of s and returns the mean KL from the FP32 model.
func (p *Plan) Measure(ctx context.Context, s *Sensitivity) (_ float64, err error) {
	m, err := lm.Load(p.Opt.Out, runtime.Options{Threads: p.Opt.Threads})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var d diff.Logits
	for i, seq := range s.seqs {
		got, err := m.Forward(ctx, seq.IDs)
		if err != nil {
			return 0, err
		}
		for r, row := range seq.Rows {
			d.Add(s.want[i].Row(r), got[int(row)*m.Vocab():][:m.Vocab()])
		}
	}
	return d.KL(), nil
}
