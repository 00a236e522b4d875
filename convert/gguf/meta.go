package gguf

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// meta reads the keys; the first error sticks. Keys of the architecture that nobody read are errors.
type meta struct {
	arch  string
	keys  map[string]value
	order []string
	read  map[string]bool
	err   error
}

func (m *meta) bad(key, format string, a ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: key %q: %s", ErrCorrupt, key, fmt.Sprintf(format, a...))
	}
}

func (m *meta) unsupported(key, format string, a ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("%w: key %q: %s", ErrUnsupported, key, fmt.Sprintf(format, a...))
	}
}

// get finds a key; one that begins with a point is the architecture's.
func (m *meta) get(key string) (value, string, bool) {
	if strings.HasPrefix(key, ".") {
		key = m.arch + key
	}
	m.read[key] = true
	v, ok := m.keys[key]
	return v, key, ok
}

func (m *meta) has(key string) bool {
	_, _, ok := m.get(key)
	return ok
}

func (m *meta) text(key, def string) string {
	v, key, ok := m.get(key)
	if !ok {
		return def
	}
	if v.kind != kString {
		m.bad(key, "must be a string")
		return def
	}
	return v.text
}

func (m *meta) bool(key string, def bool) bool {
	v, key, ok := m.get(key)
	if !ok {
		return def
	}
	if v.kind != kBool {
		m.bad(key, "must be a bool")
	}
	return v.bits == 1
}

func isInt(kind uint32) bool {
	return kind <= kI32 || kind == kU64 || kind == kI64
}

// int is an integer of 0 to 2^31-1; an array of equal ones counts as one. def < 0 makes the key mandatory.
func (m *meta) int(key string, def int) int {
	v, key, ok := m.get(key)
	switch {
	case !ok && def < 0:
		m.bad(key, "is missing")
		return 0
	case !ok:
		return def
	case v.kind == kArray && isInt(v.elem) && len(v.numbers) > 0:
		for _, n := range v.numbers {
			if n != v.numbers[0] {
				m.unsupported(key, "layers differ (%d and %d)", v.numbers[0], n)
			}
		}
		v.bits = v.numbers[0]
	case !isInt(v.kind):
		m.bad(key, "must be an integer")
		return max(def, 0)
	}
	if v.bits > math.MaxInt32 {
		m.bad(key, "%d is out of range", int64(v.bits))
		return max(def, 0)
	}
	return int(v.bits)
}

// id is a token id, -1 if absent.
func (m *meta) id(key string, vocab int) int {
	if !m.has(key) {
		return -1
	}
	n := m.int(key, 0)
	if n >= vocab {
		m.bad(key, "token %d of %d", n, vocab)
	}
	return n
}

// float is a number as the shortest decimal that is this float32: files hold 1e-5 as 9.99999975e-06.
func (m *meta) float(key string, def float64) float64 {
	v, key, ok := m.get(key)
	if !ok {
		return def
	}
	if v.kind != kF32 && v.kind != kF64 {
		m.bad(key, "must be a float")
		return def
	}
	x := math.Float64frombits(v.bits)
	if x-x != 0 {
		m.bad(key, "%v must be finite", x)
		return def
	}
	if v.kind == kF32 {
		x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
	}
	return x
}

// texts and numbers are arrays, nil if absent.
func (m *meta) texts(key string) []string {
	v, key, ok := m.get(key)
	if ok && (v.kind != kArray || v.elem != kString) {
		m.bad(key, "must be an array of strings")
	}
	return v.texts
}

func (m *meta) ints(key string) []uint64 {
	v, key, ok := m.get(key)
	if ok && (v.kind != kArray || !isInt(v.elem) && v.elem != kBool) {
		m.bad(key, "must be an array of integers or bools")
	}
	return v.numbers
}

func (m *meta) floats(key string) (list []float32) {
	v, key, ok := m.get(key)
	if ok && (v.kind != kArray || v.elem != kF32) {
		m.bad(key, "must be an array of f32")
		return nil
	}
	for _, n := range v.numbers {
		list = append(list, float32(math.Float64frombits(n)))
	}
	return list
}

// inert are keys of architectures that say what others say too, or how a file was made.
var inert = []string{".vocab_size", ".tensor_data_layout", ".rope.scaling.finetuned"}

// finish reports keys of the architecture that nothing has read: they may change what the model computes.
func (m *meta) finish() error {
	var unknown []string
	for _, key := range m.order {
		if rest, ok := strings.CutPrefix(key, m.arch); ok && strings.HasPrefix(rest, ".") && !m.read[key] && !slices.Contains(inert, rest) {
			unknown = append(unknown, key)
		}
	}
	if unknown != nil {
		m.unsupported(strings.Join(unknown, ", "), "unknown; it may change what the model computes")
	}
	return m.err
}
