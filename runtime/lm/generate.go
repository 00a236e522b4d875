package lm

import (
	"context"
	"iter"
	"math"
	"slices"

	"qpt/runtime/lm/sample"
)

// GenerateOptions say how a text goes on; the zero value is greedy and ends
// at an end-of-text token or when the context is full.
type GenerateOptions struct {
	MaxTokens int            // 0: until the context is full
	Sample    sample.Options // zero value: greedy
	Stop      []string       // the text ends before the first of these strings, special tokens (which no text shows) among them
	IgnoreEOS bool           // go on after end-of-text tokens (for benchmarks)
	// Logits, if set, sees the predictions [V] before each token is chosen, and the tokens before it; it may
	// change the logits (to forbid tokens: minus infinity) and end the text with an error.
	Logits func(logits []float32, before []int32) error
	// Constraint, if set, keeps the text within a language (see Model.Constraints); the text ends where nothing can follow.
	Constraint Constraint
}

// Constraint says which tokens may come next; a constrain.Constraint is one. It belongs to one text.
type Constraint interface {
	Mask(dst []uint64) error // bit id%64 of word id/64: the token may come
	Accept(id int32) error   // goes on by a token that may come
	Done() bool              // the text is whole, and nothing can follow
}

// Finish says why a text ended.
type Finish string

// Reasons to end.
const (
	FinishEOS     Finish = "eos"
	FinishStop    Finish = "stop"
	FinishLength  Finish = "length"
	FinishContext Finish = "context"
)

// Token is one step of a generated text.
type Token struct {
	ID     int32
	Text   string // whole characters only; may be empty while one is incomplete
	Finish Finish // set on the last element, whose ID is -1 unless it is an end-of-text token
}

// Generate continues a prompt as a new sequence and streams the tokens. The
// loop ends after the element with Finish set, after an error, or when the
// caller breaks; cancelling ctx gives its error.
func (m *Model) Generate(ctx context.Context, prompt string, opt GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		tok, err := m.Tokenizer()
		if err != nil {
			yield(Token{}, err)
			return
		}
		s, err := m.NewSession()
		if err != nil {
			yield(Token{}, err)
			return
		}
		defer s.Close()
		ids, err := tok.Encode(ctx, prompt, true)
		if err != nil {
			yield(Token{}, err)
			return
		}
		for t, err := range s.Generate(ctx, ids, opt) {
			if !yield(t, err) {
				return
			}
		}
	}
}

// Generate appends ids to the sequence and continues it. The last token that it
// yields is not in the sequence yet: whoever goes on begins with it.
func (s *Session) Generate(ctx context.Context, ids []int32, opt GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		smp, err := sample.New(opt.Sample)
		if err != nil {
			yield(Token{}, err)
			return
		}
		text := s.m.NewText(ids, TextOptions{Stop: opt.Stop})
		end := func(id int32, f Finish) { yield(Token{ID: id, Text: text.Flush(), Finish: f}, nil) }

		logits, err := s.masked(ctx, ids, opt.Constraint)
		if err != nil {
			yield(Token{}, err)
			return
		}
		room := s.s.Limit()
		if n := opt.MaxTokens; n > 0 && n < room-len(ids) {
			room = len(ids) + n
		}
		history := append(make([]int32, 0, room), ids...)
		for n := 1; ; n++ {
			if opt.Logits != nil {
				if err := opt.Logits(logits, history); err != nil {
					yield(Token{}, err)
					return
				}
			}
			id, err := smp.Next(logits, history, s.Len())
			if err != nil {
				yield(Token{}, err)
				return
			}
			if !opt.IgnoreEOS && slices.Contains(s.m.Meta.Model.EOS, int(id)) {
				end(id, FinishEOS)
				return
			}
			if opt.Constraint != nil {
				if err := opt.Constraint.Accept(id); err != nil {
					yield(Token{}, err)
					return
				}
			}
			piece, stopped := text.Next(id)
			if !yield(Token{ID: id, Text: piece}, nil) {
				return
			}
			switch {
			case stopped:
				end(-1, FinishStop)
				return
			case opt.Constraint != nil && opt.Constraint.Done():
				end(-1, FinishStop)
				return
			case opt.MaxTokens > 0 && n >= opt.MaxTokens:
				end(-1, FinishLength)
				return
			case s.Len() >= s.s.Limit():
				end(-1, FinishContext)
				return
			}
			history = append(history, id)
			if logits, err = s.masked(ctx, history[len(history)-1:], opt.Constraint); err != nil {
				yield(Token{}, err)
				return
			}
		}
	}
}

// masked is Append, with minus infinity for tokens that a constraint (nil: none) forbids. The mask is made while the pass runs.
func (s *Session) masked(ctx context.Context, ids []int32, c Constraint) ([]float32, error) {
	if c == nil {
		return s.Append(ctx, ids)
	}
	mask := make([]uint64, (s.m.vocab+63)/64)
	made := make(chan error, 1)
	go func() { made <- c.Mask(mask) }()
	logits, err := s.Append(ctx, ids)
	if merr := <-made; err == nil {
		err = merr
	}
	if err != nil {
		return nil, err
	}
	Forbid(logits, mask)
	return logits, nil
}

// Forbid sets the logits of tokens whose bit in the mask is 0 to minus infinity.
func Forbid(logits []float32, mask []uint64) {
	for i := range logits {
		if mask[i>>6]>>(i&63)&1 == 0 {
			logits[i] = float32(math.Inf(-1))
		}
	}
}
