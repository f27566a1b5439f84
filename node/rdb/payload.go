package rdb

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
	"sync"
)

// Errors of Decode.
var (
	// ErrChecksum is that of a payload that is damaged, or of a version that is not
	// known.
	ErrChecksum = errors.New("rdb: version or checksum are wrong")
	// ErrFormat is that of a payload whose value does not hold together.
	ErrFormat = errors.New("rdb: bad data format")
	// ErrType is that of a value of a type that is not read: a module's.
	ErrType = errors.New("rdb: a type that is not supported")
	// ErrString and ErrTotal say that the value goes beyond Limits.
	ErrString = errors.New("rdb: a string is too long")
	ErrTotal  = errors.New("rdb: the value is too large")
)

// Versions of the RDB format.
const (
	versionWritten = 10 // Redis 7.0
	versionExpiry  = 12 // Redis 7.4: fields of hashes expire
	versionRedis   = 13 // the newest of Redis's that is read: 8.6
	versionValkey  = 80 // Valkey 9
)

// footer is how many bytes come after the value.
const footer = 2 + 8

// jones returns the table of Redis's CRC-64.
var jones = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x95ac9329ac4bc9b5) })

// checksum returns Redis's CRC-64, which inverts neither what it begins nor what it
// ends with.
func checksum(b []byte) uint64 { return ^crc64.Update(^uint64(0), jones(), b) }

// seal makes a payload of a type byte and its value.
func seal(value []byte, version uint16) []byte {
	value = binary.LittleEndian.AppendUint16(value, version)
	return binary.LittleEndian.AppendUint64(value, checksum(value))
}

// open returns what a payload holds, and its version.
func open(payload []byte) (value []byte, version uint16, err error) {
	if len(payload) < footer {
		return nil, 0, ErrChecksum
	}
	summed, sum := payload[:len(payload)-8], binary.LittleEndian.Uint64(payload[len(payload)-8:])
	value = summed[:len(summed)-2]
	version = binary.LittleEndian.Uint16(summed[len(value):])
	if version > versionRedis && version != versionValkey || checksum(summed) != sum {
		return nil, 0, ErrChecksum
	}
	return value, version, nil
}
