# missive_layer(<name> [SOURCES file...] [DEPENDS layer...])
#
# Makes missive_<name>, a static library of the layer's *.c (or of SOURCES),
# linked with the layers it depends on. A layer without sources becomes an
# interface library, so that everything above it still builds.
#
# The static library serves tests and fuzz targets; libmissive itself is made
# of the layers' objects (missive_layer_objects), so nothing is lost to the
# linker's archive search.

function(missive_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS")
  set(sources ${ARG_SOURCES})
  if(NOT sources)
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  endif()

  set(target missive_${name})
  if(sources)
    add_library(${target} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()

  target_include_directories(${target} ${scope}
    "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
  target_compile_definitions(${target} ${scope}
    "MISSIVE_VERSION=\"${PROJECT_VERSION}\"")
  list(TRANSFORM ARG_DEPENDS PREPEND missive_ OUTPUT_VARIABLE layers)
  target_link_libraries(${target} ${scope} ${layers} Threads::Threads)
endfunction()

# missive_layer_objects(<variable> layer...): the objects of these layers.
function(missive_layer_objects variable)
  set(objects)
  foreach(layer IN LISTS ARGN)
    get_target_property(type missive_${layer} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      list(APPEND objects $<TARGET_OBJECTS:missive_${layer}>)
    endif()
  endforeach()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()
