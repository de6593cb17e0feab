{
  'variables': { 'sanitize%': 0 },
  'target_defaults': {
    'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
    'defines': ['NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', '_GNU_SOURCE'],
    'cflags': ['-Wall', '-Wextra', '-Werror', '-fvisibility=hidden'],
    'cflags!': ['-Wno-unused-parameter'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++14'],
    'cflags_cc': ['-std=c++20', '-O3'],
    'sources': [
      'abi-object.cc',
      'addon.cc',
      'errno.cc',
      'event.cc',
      'frame.cc',
      'io.cc',
      'link-move.cc',
      'memory.cc',
      'netns.cc',
      'options.cc',
      'tap.cc',
      'tap-queue.cc',
      'udp.cc',
      'udp-receiver.cc',
      'udp-sender.cc',
    ],
  },
  'targets': [{ 'target_name': 'vtepd' }],
  'conditions': [
    ['sanitize==1', {
      'targets': [{
        'target_name': 'vtepd_asan',
        'cflags': ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
        'ldflags': ['-fsanitize=address,undefined'],
      }],
    }],
  ],
}
