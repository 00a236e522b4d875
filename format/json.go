package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"qpt/internal/strictjson"
)

// maxValues bounds the values in a JSON section: the directory of 65536 tensors has some 2 million.
const maxValues = 3 << 20

// decodeJSON decodes data into v, a pointer to a struct. Errors match rule, but for a key that v has no place for: ErrKey.
func decodeJSON(data []byte, v any, rule error) error {
	err := strictjson.Rules{Fields: reflect.TypeOf(v), NoNull: true, MaxValues: maxValues}.Check(data)
	if errors.Is(err, strictjson.ErrUnknownField) {
		return fmt.Errorf("%w: %w; use a newer qpt", ErrKey, err)
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", rule, err)
	}
	return nil
}

// bounded is a JSON array of at most maxTensors elements. Decoding stops at the first that is no T
// and after the last allowed, where package json would go on to the end of a hostile list.
type bounded[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *bounded[T]) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('[') {
		return fmt.Errorf("%.20q is no list", data)
	}
	for d.More() {
		if len(*l) == maxTensors {
			return fmt.Errorf("a list of more than %d", maxTensors)
		}
		var t T
		if err := d.Decode(&t); err != nil {
			return err
		}
		*l = append(*l, t)
	}
	return nil
}

// read returns the bytes of the section of a kind that occurs once.
func (f *File) read(k Kind) ([]byte, error) {
	i, err := f.Section(k.String())
	if err != nil {
		return nil, err
	}
	return f.Data(i)
}

// writeJSON writes v as a section of a kind that occurs once.
func (w *Writer) writeJSON(k Kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: section %q: %w", w.path, k, err)
	}
	return w.Put(k, k.String(), Zstd, b)
}
