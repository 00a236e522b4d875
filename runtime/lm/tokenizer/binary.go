package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"qpt/internal/strictjson"
)

// The tokenizer section of a .qpt file, all numbers little-endian u32:
//
//	offset  size      meaning
//	0       4         version, 1; of a Unigram tokenizer 2
//	4       4         C, bytes of the configuration
//	8       4         V, largest id of the model's vocabulary + 1
//	12      4         S, bytes of all spellings
//	16      4         M, merges
//	20      C         configuration, JSON, as MarshalBinary writes it
//	        4*V       length of each token's spelling, ffffffff where an id has no token
//	        S         the spellings, UTF-8, in the order of ids
//	        4*(V+1)   where in the merges those of each left token start; the last is M
//	        4*M       right token, ascending among those of one left token
//	        4*M       rank, each of 0 to M-1 once
//	        4*M       the token they become, spelled as the two together
//
// In version 2 M is 0, and in the place of the four tables of merges stand the
// scores of the tokens, 8*V bytes of float64.
//
// The length is exact, and each tokenizer has one form only.
const (
	version       = 1
	versionScores = 2
	header        = 20
	hole          = math.MaxUint32
)

// MarshalBinary returns the form that Load reads.
func (t *Tokenizer) MarshalBinary() ([]byte, error) {
	conf, err := json.Marshal(&t.cfg)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	spelled := 0
	for _, s := range t.vocab.tokens {
		spelled += len(s)
	}
	v, m := len(t.vocab.tokens), len(t.merges.right)
	if uint64(len(conf)) > math.MaxUint32 || uint64(spelled) > math.MaxUint32 {
		return nil, bad("too large to store")
	}
	le := binary.LittleEndian
	b := make([]byte, 0, header+len(conf)+4*v+spelled+8*(v+1)+12*m)
	form := version
	if t.scores != nil {
		form = versionScores
	}
	for _, n := range []int{form, len(conf), v, spelled, m} {
		b = le.AppendUint32(b, uint32(n))
	}
	b = append(b, conf...)
	for id := range t.vocab.tokens {
		n := uint32(hole)
		if s, ok := t.vocab.token(int32(id)); ok {
			n = uint32(len(s))
		}
		b = le.AppendUint32(b, n)
	}
	for _, s := range t.vocab.tokens {
		b = append(b, s...)
	}
	for _, score := range t.scores {
		b = le.AppendUint64(b, math.Float64bits(score))
	}
	if t.scores != nil {
		return b, nil
	}
	for _, n := range t.merges.start {
		b = le.AppendUint32(b, n)
	}
	for _, list := range [][]int32{t.merges.right, t.merges.rank, t.merges.result} {
		for _, n := range list {
			b = le.AppendUint32(b, uint32(n))
		}
	}
	return b, nil
}

// Load reads what MarshalBinary wrote. It keeps no reference to blob and
// allocates in proportion to its length.
func Load(blob []byte) (*Tokenizer, error) {
	if len(blob) < header {
		return nil, bad("%d bytes, must be %d at least", len(blob), header)
	}
	le := binary.LittleEndian
	field := func(i int) uint64 { return uint64(le.Uint32(blob[4*i:])) }
	if field(0) != version && field(0) != versionScores {
		return nil, unsupported("version %d, must be %d or %d", field(0), version, versionScores)
	}
	c, v, s, m := field(1), field(2), field(3), field(4)
	scored := field(0) == versionScores
	tables := 4*(v+1) + 12*m
	if scored {
		tables = 8 * v
	}
	if want := header + c + 4*v + s + tables; want != uint64(len(blob)) {
		return nil, bad("%d bytes, must be %d as its header says", len(blob), want)
	}
	if v == 0 || v > math.MaxInt32 || m > math.MaxInt32 || scored && m > 0 {
		return nil, bad("%d tokens, %d merges", v, m)
	}
	rest := blob[header:]
	take := func(n uint64) []byte {
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	t := &Tokenizer{}
	conf := take(c)
	if err := t.loadConfig(conf); err != nil {
		return nil, err
	}
	if err := t.loadTokens(take(4*v), string(take(s))); err != nil {
		return nil, err
	}
	if scored {
		t.scores = make([]float64, v)
		for i, part := 0, take(8*v); i < len(t.scores); i++ {
			t.scores[i] = math.Float64frombits(le.Uint64(part[8*i:]))
		}
	} else if err := t.loadMerges(take, v, m); err != nil {
		return nil, err
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	if again, err := json.Marshal(&t.cfg); err != nil || !bytes.Equal(again, conf) {
		return nil, bad("configuration: not in the form that qpt writes")
	}
	return t, nil
}

func (t *Tokenizer) loadMerges(take func(n uint64) []byte, v, m uint64) error {
	le := binary.LittleEndian
	g := &t.merges
	g.start = make([]uint32, v+1)
	for i, part := 0, take(4*(v+1)); i < len(g.start); i++ {
		g.start[i] = le.Uint32(part[4*i:])
	}
	for _, list := range []*[]int32{&g.right, &g.rank, &g.result} {
		*list = make([]int32, m)
		for i, part := 0, take(4*m); i < len(*list); i++ {
			(*list)[i] = int32(le.Uint32(part[4*i:]))
		}
	}
	return t.checkMerges()
}

func (t *Tokenizer) loadConfig(data []byte) error {
	if err := strictjson.Check(data); err != nil {
		return fmt.Errorf("%w: configuration: %w", ErrFormat, err)
	}
	if err := decode(data, &t.cfg); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

func (t *Tokenizer) loadTokens(lengths []byte, text string) error {
	n := len(lengths) / 4
	t.vocab = newVocab(n)
	if !utf8.ValidString(text) {
		return bad("spellings are not UTF-8")
	}
	for id := range n {
		size := binary.LittleEndian.Uint32(lengths[4*id:])
		if size == hole {
			if id == n-1 {
				return bad("the last id has no token")
			}
			continue
		}
		if uint64(size) > uint64(len(text)) {
			return bad("token %d: %d bytes, %d are left", id, size, len(text))
		}
		if int(size) < len(text) && !utf8.RuneStart(text[size]) {
			return bad("token %d ends inside a character", id)
		}
		if !t.vocab.add(text[:size], int32(id)) {
			return bad("tokens %d and %d are spelled alike", t.vocab.id(text[:size]), id)
		}
		text = text[size:]
	}
	if text != "" {
		return bad("%d bytes of spellings belong to no token", len(text))
	}
	return nil
}

func (t *Tokenizer) checkMerges() error {
	g := &t.merges
	m := uint32(len(g.right))
	if g.start[0] != 0 || g.start[len(t.vocab.tokens)] != m {
		return bad("merges run from %d to %d, must from 0 to %d", g.start[0], g.start[len(t.vocab.tokens)], m)
	}
	seen := make([]bool, m)
	tokens := t.vocab.tokens
	for left := range tokens {
		from, to := g.start[left], g.start[left+1]
		if from > to || to > m {
			return bad("merges of token %d run from %d to %d", left, from, to)
		}
		for i := from; i < to; i++ {
			right, rank, result := g.right[i], g.rank[i], g.result[i]
			if i > from && g.right[i-1] >= right {
				return bad("merges of token %d are not ascending", left)
			}
			if rank < 0 || uint32(rank) >= m || seen[rank] {
				return bad("merge %d: rank %d is out of range or used twice", i, rank)
			}
			seen[rank] = true
			// Comparing the spellings themselves would take longer than all the rest of Load.
			a, b, ab := len(tokens[left]), t.length(right), t.length(result)
			if pre := t.cfg.SubwordPre; pre != "" && b > 0 && strings.HasPrefix(tokens[right], pre) {
				b -= len(pre)
			}
			if a == 0 || b == 0 || ab != a+b {
				return bad("merge %d: tokens %d and %d do not make %d", i, left, right, result)
			}
		}
	}
	return nil
}

// length is that of a token's spelling, 0 if there is no such token.
func (t *Tokenizer) length(id int32) int {
	if id < 0 || int(id) >= len(t.vocab.tokens) {
		return 0
	}
	return len(t.vocab.tokens[id])
}
