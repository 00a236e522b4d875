package format

import (
	"bytes"
	"encoding/json"
	"fmt"

	"qpt/internal/strictjson"
)

// decodeJSON decodes data into v; anything that v has no place for is an error.
func decodeJSON(data []byte, v any) error {
	if err := strictjson.Check(data); err != nil {
		return err
	}
	if err := exactKeys(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// exactKeys accepts only keys of a-z, 0-9 and _, as all of ours are. Package
// json matches keys without regard to case; this makes "Name" beside "name" an
// error, where readers in other languages would see another value.
func exactKeys(d *json.Decoder) error {
	open, err := d.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return err
	}
	for d.More() {
		if open == json.Delim('{') {
			key, err := d.Token()
			if err != nil {
				return err
			}
			for _, c := range key.(string) {
				if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
					return fmt.Errorf("unknown key %q", key)
				}
			}
		}
		if err := exactKeys(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
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
