// Package sample chooses the next token from logits.
//
//	s, err := sample.New(sample.Options{Temperature: 0.8, TopP: 0.95, Seed: 1})
//	id, err := s.Next(logits, history, len(history))
//
// The filters and their order are those of Hugging Face transformers:
// repetition penalty, temperature, top-k, top-p, min-p. (llama.cpp applies the
// temperature last, so there top-p and min-p see other probabilities.) Unlike
// both, ties are always broken towards the lowest id, so top-k keeps exactly k
// tokens. Random numbers are a function of the seed and the position alone, so
// that a text does not depend on what was computed before or again. The same
// options and logits give the same tokens on every machine whose exponentials
// round alike.
package sample

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Options says how to choose. The zero value is greedy: the highest logit.
type Options struct {
	Temperature       float64 // logits are divided by it; 0: greedy, the filters below do nothing
	TopK              int     // keep the k most probable tokens; 0: all
	TopP              float64 // then keep the fewest with this probability together; 0 or 1: all
	MinP              float64 // then keep those at least this fraction as probable as the best; 0: all
	RepetitionPenalty float64 // of logits of earlier tokens: l > 0 is divided by it, others multiplied; 0 or 1: none
	Seed              uint64  // of the random numbers
}

func (o Options) validate() error {
	for _, f := range []struct {
		name       string
		value, max float64
	}{
		{"temperature", o.Temperature, math.MaxFloat64},
		{"top-k", float64(o.TopK), math.MaxFloat64},
		{"top-p", o.TopP, 1},
		{"min-p", o.MinP, 1},
		{"repetition penalty", o.RepetitionPenalty, math.MaxFloat64},
	} {
		if !(f.value >= 0) || f.value > f.max {
			want := "must be 0 or more"
			if f.max == 1 {
				want = "must be in [0, 1]"
			}
			return fmt.Errorf("%s %v: %s", f.name, f.value, want)
		}
	}
	return nil
}

// Errors of Next.
var (
	ErrNone = errors.New("all logits are -Inf")
	ErrNaN  = errors.New("the model's predictions are not numbers")
)

// Sampler chooses the tokens of one sequence. After the first Next with the
// longest vocabulary it allocates nothing. It is not safe for concurrent use.
type Sampler struct {
	opt Options
	rng *rand.ChaCha8

	ranking ranking
	seen    []uint32 // by id: the Next that last met it in the history
	round   uint32
}

// New returns a sampler, or an error that names the option out of range.
func New(opt Options) (*Sampler, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	return &Sampler{opt: opt, rng: rand.NewChaCha8([32]byte{})}, nil
}

// Next chooses a token id given logits [vocabulary], which it leaves as they
// are, the tokens so far, prompt included (only the repetition penalty reads
// them), and the position of the token, which its random number goes by. Logits of
// -Inf are never chosen; NaN and +Inf are errors, and so is having nothing to
// choose from.
func (s *Sampler) Next(logits []float32, history []int32, position int) (int32, error) {
	for i, l := range logits {
		if l != l || l > math.MaxFloat32 {
			return 0, fmt.Errorf("logit of token %d is %v: %w", i, l, ErrNaN)
		}
	}
	r := &s.ranking
	r.load(logits)
	if p := float32(s.opt.RepetitionPenalty); p != 0 && p != 1 {
		if err := s.penalize(p, history); err != nil {
			return 0, err
		}
	}
	best := r.start(s.opt.Temperature)
	if best.id < 0 {
		return 0, fmt.Errorf("none of the %d tokens can be chosen: %w", len(logits), ErrNone)
	}
	if s.opt.Temperature == 0 {
		return best.id, nil
	}
	return s.draw(best.logit, s.uniform(position)), nil
}

// penalize applies the repetition penalty once to every token of the history,
// however often it came.
func (s *Sampler) penalize(penalty float32, history []int32) error {
	cands := s.ranking.rest
	if s.round++; len(s.seen) < len(cands) || s.round == 0 {
		s.seen, s.round = make([]uint32, len(cands)), 1
	}
	for _, id := range history {
		if id < 0 || int(id) >= len(cands) {
			return fmt.Errorf("token %d in the history: the vocabulary has %d tokens", id, len(cands))
		}
		if s.seen[id] == s.round {
			continue
		}
		s.seen[id] = s.round
		if l := &cands[id].logit; *l > 0 {
			*l /= penalty
		} else {
			*l *= penalty
		}
	}
	return nil
}

// uniform is a number in [0, 1) by the seed and the position: 53 bits of the first
// word of ChaCha8 with the key seed, position, 0, 0 (little-endian words of 64 bits).
func (s *Sampler) uniform(position int) float64 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], s.opt.Seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(position))
	s.rng.Seed(key)
	return float64(s.rng.Uint64()>>11) / (1 << 53)
}

// draw picks a token by the probabilities after the filters and u in [0, 1).
func (s *Sampler) draw(best float32, u float64) int32 {
	r := &s.ranking
	weight := func(c candidate) float64 { // probability relative to the best
		return math.Exp((float64(c.logit) - float64(best)) / s.opt.Temperature)
	}
	kept, total := len(r.rest), 0.0
	if k := s.opt.TopK; k > 0 && k < kept {
		kept = k
		for i := range kept {
			total += weight(r.at(i))
		}
	} else {
		for _, c := range r.rest {
			total += weight(c)
		}
	}
	if topP := s.opt.TopP; topP > 0 && topP < 1 || s.opt.MinP > 0 {
		enough := math.Inf(1)
		if topP > 0 && topP < 1 {
			enough = topP * total
		}
		sum, n := 0.0, 0
		for n < kept && sum < enough {
			w := weight(r.at(n))
			if w < s.opt.MinP {
				break
			}
			sum, n = sum+w, n+1
		}
		kept, total = n, sum
	}
	u *= total
	last := r.at(0) // of the tokens passed; what rounding may leave u with
	for i := range kept {
		c := r.at(i)
		w := weight(c)
		if w == 0 {
			break
		}
		last = c
		if u -= w; u < 0 {
			break
		}
	}
	return last.id
}
